//! The same module with its functions at other places.
//!
//! A program that just does not fit into the first-level instruction cache runs up to a tenth
//! slower or faster by how its functions happen to lie, whoever compiled it, and linking moves some
//! of them. One placement of each of two modules tells them apart no better than that, so they are
//! compared over several at random, as Curtsinger and Berger do in "STABILIZER: Statistically Sound
//! Performance Evaluation" (ASPLOS 2013).

use std::collections::BTreeMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, FunctionBody, FunctionSectionReader, KnownCustom, Name,
    Parser, Payload, TypeRef,
};

/// Numbers of the functions that a module defines, in the order in which they are written now.
struct Placement {
    /// How many functions the module imports.
    imports: u32,
    /// By new place, the old one.
    old: Vec<u32>,
    /// By old place, the new one.
    new: Vec<u32>,
}

impl Reencode for Placement {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        Ok(match function.checked_sub(self.imports) {
            Some(place) => self.imports + self.new[place as usize],
            None => function,
        })
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let types: Vec<u32> = section.into_iter().collect::<Result<_, _>>()?;
        for place in &self.old {
            functions.function(types[*place as usize]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let bodies: Vec<FunctionBody<'_>> = section.into_iter().collect::<Result<_, _>>()?;
        for place in 0..bodies.len() {
            let body = bodies[self.old[place] as usize].clone();
            self.parse_function_body(code, body)?;
        }
        Ok(())
    }

    /// Nothing that a custom section says is needed to run the module.
    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        Ok(())
    }
}

/// `wasm` with its functions in another order for each `seed`; 0 is theirs. Functions only change
/// places with others of the same group, which their names tell; those without one stay.
pub fn placed<'a>(
    wasm: &'a [u8],
    seed: u64,
    group: impl Fn(Option<&'a str>) -> Option<&'a str>,
) -> Vec<u8> {
    let mut imports = 0;
    let mut functions = 0;
    let mut names: BTreeMap<u32, &str> = BTreeMap::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.expect("a valid module") {
            Payload::ImportSection(section) => {
                let kinds = section
                    .into_imports()
                    .map(|import| import.expect("an import").ty);
                imports = kinds.filter(|ty| matches!(ty, TypeRef::Func(_))).count() as u32;
            }
            Payload::FunctionSection(section) => functions = section.count(),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(section) = section.as_known() {
                    for subsection in section {
                        if let Ok(Name::Function(map)) = subsection {
                            names.extend(map.into_iter().flatten().map(|n| (n.index, n.name)));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    let mut groups: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for place in 0..functions {
        if let Some(group) = group(names.get(&(imports + place)).copied()) {
            groups.entry(group).or_default().push(place);
        }
    }
    let mut old: Vec<u32> = (0..functions).collect();
    let mut state = seed;
    for places in groups.into_values().filter(|_| seed != 0) {
        let mut order = places.clone();
        for last in (1..order.len()).rev() {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            order.swap(last, (state >> 33) as usize % (last + 1));
        }
        for (place, function) in places.into_iter().zip(order) {
            old[place as usize] = function;
        }
    }
    let mut new = vec![0; old.len()];
    for (place, function) in (0..).zip(&old) {
        new[*function as usize] = place;
    }
    let mut module = Module::new();
    let mut placement = Placement { imports, old, new };
    placement
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .expect("a module of functions at other places");
    module.finish()
}
