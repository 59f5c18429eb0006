//! Imports: only functions that a virtual kernel can have, with the types they have.

use wasmparser::{FuncType, TypeRef, ValType};

use super::ModuleError;
use super::scan::Scan;
use crate::capability::{HostCall, HostCallSet};

pub(super) fn check(scan: &Scan<'_>) -> Result<Vec<(String, String)>, ModuleError> {
    scan.imports
        .iter()
        .map(|&(module, name, ty)| {
            let pair = (module.to_owned(), name.to_owned());
            match known(scan, module, name, ty) {
                Fit::Yes => Ok(pair),
                Fit::NotAFunction => Err(ModuleError::ImportKind {
                    module: pair.0,
                    name: pair.1,
                }),
                Fit::Unknown => Err(ModuleError::UnknownImport {
                    module: pair.0,
                    name: pair.1,
                }),
                Fit::OtherType => Err(ModuleError::ImportType {
                    module: pair.0,
                    name: pair.1,
                }),
            }
        })
        .collect()
}

enum Fit {
    Yes,
    NotAFunction,
    Unknown,
    OtherType,
}

fn known(scan: &Scan<'_>, module: &str, name: &str, ty: TypeRef) -> Fit {
    let TypeRef::Func(index) = ty else {
        return Fit::NotAFunction;
    };
    let Some(call) =
        HostCall::from_import(module, name).and_then(|calls: HostCallSet| calls.iter().next())
    else {
        return Fit::Unknown;
    };
    let ty = usize::try_from(index)
        .ok()
        .and_then(|index| scan.types.get(index));
    match (ty, call.signature()) {
        (None, _) => Fit::OtherType,
        (Some(_), None) => Fit::Yes,
        (Some(ty), Some(signature)) if letters(ty) == signature => Fit::Yes,
        _ => Fit::OtherType,
    }
}

/// A type as [`HostCall::signature`] writes it.
fn letters(ty: &FuncType) -> String {
    let letter = |ty: &ValType| match ty {
        ValType::I32 => 'i',
        ValType::I64 => 'I',
        _ => '?',
    };
    let params = ty.params().iter().map(letter);
    params
        .chain(['>'])
        .chain(ty.results().iter().map(letter))
        .collect()
}
