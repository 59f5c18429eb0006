//! The names section: every function under its program's name, so that a trap reads `ls::qsort`.

use wasm_encoder::{NameMap, NameSection};

use super::imports::show;
use super::input::Input;
use super::layout::{Helper, Layout};
use super::rewrite::function_name;

/// Names of all functions of the output, and of the module.
pub(crate) fn section(module: &str, layout: &Layout, inputs: &[Input<'_>]) -> NameSection {
    let mut map = NameMap::new();
    for ((_, name, _), index) in layout.imports.iter().zip(0..) {
        map.append(index, name);
    }
    for (input, places) in inputs.iter().zip(&layout.programs) {
        let imported = input.imports.len() as u32;
        for own in imported..input.functions.len() as u32 {
            let name = format!("{}::{}", input.name, function_name(input, own));
            map.append(places.function(own), &name);
        }
        let first = places.first_function + input.bodies.len() as u32;
        for (class, index) in places.classes.iter().zip(first..) {
            map.append(
                index,
                &format!("{}::call_indirect {}", input.name, show(&class.ty)),
            );
        }
    }
    for (helper, index) in layout.helpers.iter().zip(layout.first_helper..) {
        let name = match helper {
            Helper::Grow { max } => format!("megabinary::grow_to_{max}_pages"),
            Helper::Init { program, segment } => {
                format!("{}::init_data_{segment}", inputs[*program].name)
            }
        };
        map.append(index, &name);
    }
    for (input, places) in inputs.iter().zip(&layout.programs) {
        map.append(places.shim, &format!("{}::entry", input.name));
    }
    map.append(layout.dispatch, "_dispatch");
    let mut names = NameSection::new();
    names.module(module);
    names.functions(&map);
    names
}
