//! The names section: every function under its program's name, so that a trap reads `ls::qsort`; one
//! that several programs share under the name it has in all of them, `shared::qsort`.

use wasm_encoder::{NameMap, NameSection};

use super::fold::{Kept, Programs};
use super::imports::show;
use super::input::Input;
use super::layout::{Helper, Layout};
use super::output::Output;

/// What a provisional number stands for.
enum Origin {
    /// A function of a program, by its own number.
    Own(usize, u32),
    /// A trampoline of a program.
    Trampoline(usize, usize),
    Helper(Helper),
}

/// Knows the names and addresses of all programs.
pub(crate) struct Namer<'a> {
    pub layout: &'a Layout,
    pub inputs: &'a [Input<'a>],
}

impl Namer<'_> {
    /// The origin of a function, by its place among all that have code.
    fn origin(&self, place: u32) -> Origin {
        let number = self.layout.imports.len() as u32 + place;
        if let Some(helper) = number.checked_sub(self.layout.first_helper) {
            return Origin::Helper(self.layout.helpers[helper as usize]);
        }
        let after = self
            .layout
            .programs
            .partition_point(|p| p.first_function <= number);
        // Programs without functions share their first number with the next: the last of them it is.
        let program = after - 1;
        let within = number - self.layout.programs[program].first_function;
        let bodies = self.inputs[program].bodies.len() as u32;
        match within.checked_sub(bodies) {
            Some(class) => Origin::Trampoline(program, class as usize),
            None => Origin::Own(program, self.inputs[program].imports.len() as u32 + within),
        }
    }

    /// The program of a function, where it has one, and its name there: its own, or its number.
    pub(crate) fn name(&self, place: u32) -> (Option<usize>, String) {
        match self.origin(place) {
            Origin::Own(program, own) => {
                let name = match self.inputs[program].names.get(&own) {
                    Some(name) => (*name).to_owned(),
                    None => format!("function {own}"),
                };
                (Some(program), name)
            }
            Origin::Trampoline(program, class) => {
                let class = &self.layout.programs[program].classes[class];
                (Some(program), format!("call_indirect {}", show(&class.ty)))
            }
            Origin::Helper(Helper::Grow { max }) => (None, format!("grow_to_{max}_pages")),
            Origin::Helper(Helper::Init { program, segment }) => {
                (Some(program), format!("init_data_{segment}"))
            }
        }
    }

    fn kept(&self, kept: &Kept) -> String {
        let (program, mut name) = self.name(kept.members[0]);
        let Some(program) = program else {
            return format!("megabinary::{name}");
        };
        let shared = kept
            .members
            .iter()
            .any(|member| self.name(*member).0 != Some(program));
        if !shared {
            return format!("{}::{name}", self.inputs[program].name);
        }
        // Of programs without names, only the number would be left, which says nothing elsewhere.
        match kept.members.iter().find_map(|member| self.symbol(*member)) {
            Some(symbol) => name = symbol.to_owned(),
            None => name = format!("{name} of {}", self.inputs[program].name),
        }
        format!("shared::{name}")
    }
}

impl Programs for Namer<'_> {
    fn is_address(&self, program: usize, value: u32) -> bool {
        let pages = self.inputs[program].memory.map_or(0, |m| m.min);
        let image = &self.layout.programs[program].image;
        let first = image.first().map_or(u32::MAX, |(piece, _)| piece.address);
        value >= first && u64::from(value) < pages * super::image::PAGE
    }

    fn symbol(&self, function: u32) -> Option<&str> {
        match self.origin(function) {
            Origin::Own(program, own) => self.inputs[program].names.get(&own).copied(),
            Origin::Trampoline(..) | Origin::Helper(_) => None,
        }
    }

    fn count(&self) -> usize {
        self.inputs.len()
    }
}

/// Names of all functions of the output, and of the module.
pub(crate) fn section(module: &str, output: &Output<'_>, inputs: &[Input<'_>]) -> NameSection {
    let layout = output.layout;
    let namer = Namer { layout, inputs };
    let mut map = NameMap::new();
    for ((_, name, _), index) in layout.imports.iter().zip(0..) {
        map.append(index, name);
    }
    for (kept, index) in output.folded.kept.iter().zip(layout.imports.len() as u32..) {
        map.append(index, &namer.kept(kept));
    }
    for (switch, index) in output
        .folded
        .switches
        .iter()
        .zip(output.folded.first_switch()..)
    {
        let arm = switch.arms.values().next().expect("a switch has programs");
        let (_, name) = namer.name(arm - layout.imports.len() as u32);
        map.append(index, &format!("shared::{name}"));
    }
    for (program, input) in inputs.iter().enumerate() {
        map.append(output.shim(program), &format!("{}::entry", input.name));
    }
    map.append(output.dispatch(), "_dispatch");
    let mut names = NameSection::new();
    names.module(module);
    names.functions(&map);
    names
}
