use megabinary::capability::{HostCall, HostCallSet};
use megabinary::digest::Digest;

use super::build::{Builder, NewTarget};
use super::{ExecRule, NetworkPolicy, Plan, PlanError};

fn digest(number: u32) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn plan(targets: u32) -> Plan {
    let texts = ["toolbox", "1.0", "__image"];
    let mut builder = Builder::new(
        digest(u32::MAX),
        texts,
        NetworkPolicy::Restricted,
        ExecRule::Listed,
    )
    .unwrap();
    builder
        .program("ls_start", "ls", 2, Some(16), None)
        .unwrap();
    builder
        .program("python_start", "python", 100, None, Some("python:signal"))
        .unwrap();
    for number in 0..targets {
        let path = format!("/usr/bin/tool{number}");
        let tool = format!("tool_{number}");
        builder
            .target(NewTarget {
                digest: digest(number),
                entry: if number == 0 {
                    "ls_start"
                } else {
                    "python_start"
                },
                rights: [HostCall::FdRead, HostCall::PathOpenWrite]
                    .into_iter()
                    .collect(),
                path: (number % 2 == 0).then_some(&path),
                tool: (number % 2 == 1).then_some(&tool),
                args: vec!["-u", "-B"],
                exec: vec!["/usr/bin/sort"],
            })
            .unwrap();
    }
    builder.finish()
}

#[test]
fn a_plan_answers_the_same_after_it_was_stored() {
    let plan = Plan::decode(&plan(50).encode()).unwrap();
    assert_eq!(
        (plan.name(), plan.version(), plan.image_switch()),
        ("toolbox", "1.0", "__image")
    );
    assert_eq!(plan.networking(), NetworkPolicy::Restricted);
    assert_eq!(plan.exec_rule(), ExecRule::Listed);
    assert_eq!(plan.container_id(), &digest(u32::MAX));

    let ls = plan.lookup(&digest(0)).unwrap();
    assert_eq!(
        (ls.entry(), ls.program_name(), ls.path()),
        ("ls_start", "ls", Some("/usr/bin/tool0"))
    );
    assert_eq!((ls.min_pages(), ls.max_pages()), (2, 16));
    assert_eq!(ls.args().collect::<Vec<_>>(), ["-u", "-B"]);
    assert_eq!(ls.may_execute().collect::<Vec<_>>(), ["/usr/bin/sort"]);
    assert!(ls.rights().contains(HostCall::FdRead) && !ls.rights().contains(HostCall::FdWrite));
    assert!(!ls.shares_entry() && plan.lookup(&digest(1)).unwrap().shares_entry());

    let tool = plan.tool("tool_7").unwrap();
    assert_eq!(
        (tool.digest(), tool.max_pages(), tool.path()),
        (&digest(7), 65536, None)
    );
    assert_eq!(
        plan.named_for_path("/usr/bin/tool8").unwrap().digest(),
        &digest(8)
    );
    assert!(plan.lookup(&digest(50)).is_none());
    assert!(plan.tool("tool_8").is_none() && plan.named_for_path("tool_7").is_none());
}

#[test]
fn an_entry_point_that_no_program_has_is_an_error() {
    let texts = ["toolbox", "1.0", "__image"];
    let mut builder = Builder::new(digest(0), texts, NetworkPolicy::None, ExecRule::Any).unwrap();
    let error = builder.target(NewTarget {
        digest: digest(1),
        entry: "cat_start",
        rights: HostCallSet::EMPTY,
        path: None,
        tool: None,
        args: vec![],
        exec: vec![],
    });
    assert!(error.unwrap_err().to_string().contains("`cat_start`"));
}

#[test]
fn damaged_and_foreign_plans_are_named_errors() {
    let good = plan(3).encode();
    assert_eq!(Plan::decode(b""), Err(PlanError::NotAPlan));
    assert_eq!(Plan::decode(&[0; 100]), Err(PlanError::NotAPlan));
    let mut other = good.clone();
    other[16..24].copy_from_slice(b"99.9.9\0\0");
    assert_eq!(
        Plan::decode(&other),
        Err(PlanError::Version {
            found: "99.9.9".into()
        })
    );
    for cut in 0..good.len() {
        assert!(Plan::decode(&good[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(Plan::decode(&bad).is_err(), "changed at {at}");
    }
}

#[test]
fn a_body_that_lies_is_an_error_even_with_the_right_digest() {
    let good = plan(3).encode();
    for at in 64..good.len() {
        for change in [1, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= change;
            let sum = *Digest::of(&bad[64..]).as_bytes();
            bad[32..64].copy_from_slice(&sum);
            // Whatever was accepted must hold up when it is used.
            if let Ok(plan) = Plan::decode(&bad) {
                for target in plan.targets() {
                    let _ = (target.entry(), target.path(), target.tool_name());
                    let _ = target.args().chain(target.may_execute()).count();
                    assert!(plan.lookup(target.digest()).is_some());
                }
                let _ = (plan.name(), plan.version(), plan.image_switch());
            }
        }
    }
}

#[test]
fn ten_thousand_targets_round_trip() {
    let plan = plan(10_000);
    let decoded = Plan::decode(&plan.encode()).unwrap();
    assert_eq!(decoded, plan);
    assert_eq!(decoded.len(), 10_000);
}
