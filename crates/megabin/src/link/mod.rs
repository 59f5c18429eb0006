//! The linker: many WASI programs become one module, of which each instance runs one program.
//!
//! Programs never live together, so all of them use memory 0 at their own addresses and the same
//! global slots, and only the chosen program's initial image is laid. The pipeline, in this order:
//!
//! 1. [`input`] reads each module and refuses what cannot be linked;
//! 2. [`scan`] validates every function and notes what it uses (parallel);
//! 3. [`layout`] decides where everything lies in the output;
//! 4. [`rewrite`] moves every function into the output's index spaces (parallel), giving [`code`]:
//!    by then equal functions of different programs are equal bytes, because globals, types and
//!    imports are shared;
//! 5. [`fold`] decides which functions are written and gives them their final numbers, which
//!    [`output`] knows;
//! 6. [`encode`] writes the sections, with [`shim`] and [`names`].

mod addresses;
pub mod base;
mod code;
mod consts;
mod encode;
mod error;
mod exceptions;
mod extras;
mod fold;
mod image;
mod imports;
mod input;
mod layout;
mod names;
mod output;
mod parallel;
mod rewrite;
mod scan;
mod segments;
mod shim;
mod trampoline;

use std::collections::BTreeSet;

use megabinary::digest::Digest;
use megabinary::module::ModuleError;
use megabinary::names::{ContainerName, ContainerVersion, EntryPoint, ProgramName};
use megabinary::section::{Program as SectionProgram, Section, Segment, Target as SectionTarget};

pub use consts::ConstError;
pub use error::{LinkError, Refusal};
pub use fold::Folding;
pub use imports::imports_of;

use code::{Body, Code, CodeFunction};
use input::Input;
use layout::{Helper, Layout};
use output::Output;
use rewrite::Rewriter;
use scan::Chunk;

/// Export name of the mutable i32 global by which a host says that it has mapped the image itself
/// (recorded in the metadata section).
pub(crate) const SWITCH_EXPORT: &str = "megabinary_image";

/// One program to link.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// Its name, unique in the container.
    pub name: ProgramName,
    /// Its file, for messages.
    pub origin: String,
    /// The bytes of its module.
    pub wasm: &'a [u8],
}

/// A digest and the program it starts.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Digest of an executable file or a tool.
    pub digest: Digest,
    /// Index into [`Request::programs`].
    pub program: usize,
}

/// Everything that decides the output.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The container's name.
    pub name: ContainerName,
    /// The container's version.
    pub version: ContainerVersion,
    /// The virtual kernel it needs.
    pub vkernel_version: semver::VersionReq,
    /// The programs, in any order: the output does not depend on it.
    pub programs: Vec<Program<'a>>,
    /// What `_dispatch` knows.
    pub targets: Vec<Target>,
    /// Which functions are written once.
    pub folding: Folding,
}

/// A linked container.
#[derive(Debug)]
pub struct Linked {
    /// The whole `container.wasm`.
    pub wasm: Vec<u8>,
    /// Its metadata section.
    pub section: Section,
    /// Entry point of each program of the request, in the request's order.
    pub entries: Vec<EntryPoint>,
}

/// Links `request`.
///
/// # Errors
/// Names the program that cannot be linked, why, and what to do.
pub fn link(request: &Request<'_>) -> Result<Linked, LinkError> {
    let order = order(request)?;
    let programs: Vec<&Program<'_>> = order.iter().map(|i| &request.programs[*i]).collect();
    let targets = targets(request, &order)?;
    let modules: Vec<_> = programs.iter().map(|p| segments::joined(p.wasm)).collect();
    let modules: Vec<(&Program<'_>, &[u8])> = (programs.iter().zip(&modules))
        .map(|(p, wasm)| (*p, &wasm[..]))
        .collect();
    let inputs = parallel::map(&modules, |&(p, wasm)| {
        input::read(p.name.as_ref(), &p.origin, wasm).map_err(|r| r.of(&p.origin))
    })
    .into_iter()
    .collect::<Result<Vec<_>, _>>()?;
    let chunks = scan::chunks(&inputs);
    let usages = scan::scan(&inputs, &chunks)?;
    let layout = layout::plan(&inputs, &usages)?;
    let code = all_code(&inputs, &layout, &chunks)?;
    let namer = names::Namer {
        layout: &layout,
        inputs: &inputs,
    };
    let folded = fold::fold(&code, &namer, request.folding);
    let entries = entry_points(&inputs);
    let extras = extras::exported(&inputs, &layout);
    let export_names: Vec<String> = entries.iter().map(ToString::to_string).collect();
    let wasm = encode::module(&encode::Parts {
        module_name: request.name.as_ref(),
        output: Output {
            layout: &layout,
            code: &code,
            folded: &folded,
        },
        inputs: &inputs,
        usages: &usages,
        targets: &targets,
        entries: &export_names,
        extras: &extras,
    })?;
    let section = section(request, &inputs, &layout, &targets, &entries, &extras);
    let wasm = megabinary::module::finish(wasm, &section);
    check(&wasm)?;
    let mut of_request = vec![None; entries.len()];
    for (entry, index) in entries.into_iter().zip(&order) {
        of_request[*index] = Some(entry);
    }
    let entries = of_request
        .into_iter()
        .map(|e| e.expect("`order` is a permutation"))
        .collect();
    Ok(Linked {
        wasm,
        section,
        entries,
    })
}

/// Programs by name, so that the order of the recipe does not show in the output.
fn order(request: &Request<'_>) -> Result<Vec<usize>, LinkError> {
    if request.programs.is_empty() {
        return Err(LinkError::Empty);
    }
    let mut order: Vec<usize> = (0..request.programs.len()).collect();
    let name = |i: usize| request.programs[i].name.as_ref();
    order.sort_by_key(|i| name(*i));
    match order.windows(2).find(|pair| name(pair[0]) == name(pair[1])) {
        Some(pair) => Err(LinkError::DuplicateName(name(pair[0]).to_owned())),
        None => Ok(order),
    }
}

/// Targets in the order of their digests, with programs renumbered to `order`.
fn targets(request: &Request<'_>, order: &[usize]) -> Result<Vec<(Digest, usize)>, LinkError> {
    let mut position = vec![0; order.len()];
    for (new, old) in order.iter().enumerate() {
        position[*old] = new;
    }
    let mut targets = Vec::with_capacity(request.targets.len());
    for target in &request.targets {
        let program = position
            .get(target.program)
            .ok_or_else(|| LinkError::UnknownProgram {
                digest: target.digest.to_string(),
                index: target.program,
                programs: order.len(),
            })?;
        targets.push((target.digest, *program));
    }
    targets.sort();
    match targets.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(LinkError::DuplicateTarget(pair[0].0.to_string())),
        None => Ok(targets),
    }
}

/// The functions of all programs, trampolines and helpers, in the order of the layout.
fn all_code(inputs: &[Input<'_>], layout: &Layout, chunks: &[Chunk]) -> Result<Code, LinkError> {
    let rewritten = parallel::map(chunks, |chunk| {
        let input = &inputs[chunk.program];
        let mut rewriter = Rewriter {
            input,
            places: &layout.programs[chunk.program],
        };
        input.bodies[chunk.bodies.clone()]
            .iter()
            .map(|body| rewriter.body(&body.body))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|r| r.of(input.origin))
    });
    let mut bodies: Vec<Vec<Body>> = inputs.iter().map(|_| Vec::new()).collect();
    for (chunk, rewritten) in chunks.iter().zip(rewritten) {
        bodies[chunk.program].extend(rewritten?);
    }
    let mut functions = Vec::new();
    for (program, (input, bodies)) in inputs.iter().zip(bodies).enumerate() {
        let places = &layout.programs[program];
        let types = &input.functions[input.imports.len()..];
        functions.extend(types.iter().zip(bodies).map(|(ty, body)| CodeFunction {
            ty: places.types[*ty as usize],
            program: Some(program),
            trampoline: None,
            body,
        }));
        // Their numbers ascend in the order of the classes.
        let mut keys: Vec<_> = places.trampolines.iter().collect();
        keys.sort_by_key(|(_, number)| **number);
        functions.extend(
            keys.iter()
                .zip(&places.classes)
                .map(|((key, _), class)| CodeFunction {
                    ty: layout.types.get(&class.function_type()),
                    program: Some(program),
                    trampoline: Some(**key),
                    body: class.body(),
                }),
        );
    }
    functions.extend(layout.helpers.iter().map(|helper| CodeFunction {
        ty: layout.types.get(&helper.ty()),
        program: helper.program(),
        trampoline: None,
        body: match *helper {
            Helper::Grow { max } => shim::grow(max),
            Helper::Init { program, segment } => {
                shim::init(&layout.programs[program].passive[&segment])
            }
        },
    }));
    Ok(Code {
        imports: layout.imports.len() as u32,
        functions,
    })
}

/// `ls` becomes `ls_start`; characters that an entry point may not have become their code (`[` is
/// `x5b_start`), and a number keeps names apart that this makes equal.
fn entry_points(inputs: &[Input<'_>]) -> Vec<EntryPoint> {
    let mut taken = BTreeSet::new();
    inputs
        .iter()
        .map(|input| {
            let mut base = String::new();
            for c in input.name.chars() {
                match c {
                    'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | '+' | '-' => base.push(c),
                    other => base.push_str(&format!("x{:02x}", u32::from(other))),
                }
            }
            base.truncate(180);
            let mut name = format!("{base}_start");
            let mut nth = 2;
            while !taken.insert(name.clone()) {
                name = format!("{base}-{nth}_start");
                nth += 1;
            }
            EntryPoint::new(&name).expect("the characters and the length were just made to fit")
        })
        .collect()
}

/// Validates what was written and checks it as every reader of the format will.
fn check(wasm: &[u8]) -> Result<(), LinkError> {
    megabinary::module::validate(wasm).map_err(|e| LinkError::Output(e.to_string()))?;
    match megabinary::module::Module::parse(wasm) {
        Ok(_) => Ok(()),
        Err(error @ ModuleError::TooLarge { .. }) => Err(LinkError::Format(error)),
        Err(error @ ModuleError::Section(_)) => Err(LinkError::Format(error)),
        Err(error) => Err(LinkError::Output(error.to_string())),
    }
}

fn section(
    request: &Request<'_>,
    inputs: &[Input<'_>],
    layout: &Layout,
    targets: &[(Digest, usize)],
    entries: &[EntryPoint],
    extras: &[(usize, usize, String)],
) -> Section {
    let programs =
        inputs
            .iter()
            .zip(&layout.programs)
            .enumerate()
            .map(|(index, (input, places))| {
                let memory = input.memory;
                SectionProgram {
                    name: ProgramName::new(input.name)
                        .expect("it was a `ProgramName` in the request"),
                    entry: entries[index].clone(),
                    min_pages: memory.map_or(layout.min_pages, |m| m.min),
                    max_pages: memory.and_then(|m| m.max),
                    segments: places
                        .image
                        .iter()
                        .map(|(piece, offset)| Segment {
                            address: piece.address,
                            data_offset: *offset,
                            len: piece.bytes.len() as u32,
                        })
                        .collect(),
                    extra_exports: extras
                        .iter()
                        .filter(|(program, ..)| *program == index)
                        .map(|(_, extra, name)| {
                            (input.extras[*extra].name.clone().into_owned(), name.clone())
                        })
                        .collect(),
                }
            });
    Section {
        format_version: 1,
        name: request.name.clone(),
        version: request.version.clone(),
        vkernel_version: request.vkernel_version.clone(),
        image_switch: SWITCH_EXPORT.to_owned(),
        programs: programs.collect(),
        targets: targets
            .iter()
            .map(|(digest, program)| SectionTarget {
                digest: *digest,
                entry: entries[*program].clone(),
            })
            .collect(),
    }
}
