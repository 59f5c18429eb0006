//! Scripts, compared with what they do in the dash of this machine.

use std::fs;
use std::process::{Command, Stdio};

use integration_tests::command::{Output, run_with};
use integration_tests::linked::Linked;
use integration_tests::subject;

/// The container of `guests/recipes/shell.toml`, whose `/bin/sh` is dash.
fn container() -> Linked {
    Linked::new(&subject::recipe("shell"))
}

/// Runs its shell with these arguments.
fn sh(container: &Linked, arguments: &[&str], stdin: &[u8]) -> Output {
    container.run_with(&[&["/bin/sh"], arguments].concat(), stdin)
}

/// The machine's own dash in an empty directory, with an environment like the container's.
fn native(script: &str) -> Output {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new("dash");
    command
        .args(["-c", script])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stderr(Stdio::piped());
    run_with(&mut command, b"")
}

/// Scripts that say the same wherever they run, in a directory of their own.
const SAME: &[&str] = &[
    "echo hello; exit 3",
    "true && echo yes; false || echo no; ! true; echo $?",
    "seq 5 | sort -r | head -n 2",
    "seq 1000 | cat | cat | cat | wc -l",
    "x=$(seq 3 | wc -l); echo \"<$((x + 1))>\"",
    "echo `echo a; echo b` $(echo $(echo $(echo deep)))",
    "x=1; (x=2; echo $x; exit 5); echo $x $?",
    "(exit 7); echo $?; (kill -9 $(sh -c 'echo $PPID')) ; echo $?",
    "cat <<end\nhere $((6 * 7)) $(echo doc)\nend",
    "cat <<'end' | wc -c\n$not expanded\nend",
    "x=$(cat <<end\nin a substitution\nend\n); echo \"$x\"",
    "sleep 0.01 & p=$!; wait $p; echo $?; wait; echo $?",
    "(exit 4) & (exit 5) & p=$!; wait $p; echo $?",
    "false & wait $!; echo $?; sleep 100 & kill $!; wait $!; echo $?",
    "trap 'echo bye' EXIT; echo hi; exit 2",
    "trap 'echo got it' USR1; kill -USR1 $$; echo after",
    "trap 'echo outer' EXIT; (trap 'echo inner' EXIT; true); echo between",
    "set -e; echo before; false; echo never",
    "set -e; if false; then :; fi; false || true; echo still here; (exit 6); echo never",
    "set -u; echo ${x-unset}; echo $x; echo never",
    "set -f; echo *; set +f; : >a.c; : >b.c; : >c.h; echo *.c [!ab]* ?.h nothing*; rm $PWD/?.?",
    "nope; echo $?",
    ": >plain; ./plain; echo $?; rm $PWD/plain",
    "/; echo $?",
    "mkdir $PWD/d; cd d; pwd | sed 's,.*/,,'; cd ..; rmdir $PWD/d; cd nowhere; echo $?",
    "CDPATH=; cd /tmp/..; pwd; cd /usr/bin; cd - >/dev/null; pwd",
    "echo one >f; echo two >>f; cat <f; exec 3<f; read a <&3; read b <&3; echo $b $a; exec 3<&-; rm $PWD/f",
    "exec 3>f; echo to three >&3; exec 3>&-; cat <f; rm $PWD/f",
    "{ echo out; echo err >&2; } 2>&1 >/dev/null | cat",
    "echo x 2>&1 1>&2 | wc -l",
    "set -- a 'b c' d; for i; do echo \"[$i]\"; done; shift; echo $# \"$*\"",
    "f() { local x=in; echo $x $1; return 9; }; x=out; f arg; echo $? $x; f | cat",
    "f() { [ $1 -gt 0 ] && { f $(($1 - 1)); echo $1; }; }; f 50 | tail -n 1",
    "i=0; while [ $i -lt 200 ]; do i=$((i + 1)); (exit 0); done; echo $i",
    "seq 3 | while read n; do echo \"$n$n\"; done; echo x | { read v; echo $v; }; echo \"<$v>\"",
    "case abc in a*) echo starts;; *) echo else;; esac; case x in [a-c]) ;; x|y) echo xy;; esac",
    "x=path/to/file.tar.gz; echo ${x##*/} ${x%%.*} ${x%.gz} ${#x} ${y:-default} ${x:+set}",
    "IFS=:; x=a:b:c; set -- $x; echo $3; unset IFS; printf '%s|%d|%05.1f\\n' str 42 3.14159",
    "eval 'for w in a b; do echo $w; done'; eval \"(exit 3)\"; echo $?",
    "echo 'echo sourced $1; (exit 8)' >lib; . ./lib; echo $?; rm $PWD/lib",
    "export A=1; B=2 sh -c 'echo $A $B $C'; C=3; sh -c 'echo $C.'; unset A; sh -c 'echo ${A-gone}'",
    "readonly r=1; r=2; echo never",
    "command -v echo nope; type cd; command echo ok; \\echo ok",
    "umask 027; : >f; mkdir d; umask; umask -S; stat -c '%a %F' f d; rm -r f d",
    ": >f; chmod 640 f; test -x f; echo $?; chmod u+x,o-r f; stat -c %A f; test -x f; echo $?; rm f",
    "mkfifo p; (echo through >p) & read x <p; wait; echo $x; test -p p && test -p p; echo $?; rm p",
    "ulimit -n 20; ulimit -n; (ulimit -n 10; ulimit -n); ulimit -f 1; yes | head -c 2000 >f; wc -c <f; rm f",
    "ulimit -f 1; yes >f; echo $?; wc -c <f; trap '' XFSZ; yes >f 2>/dev/null; echo $?; rm f",
    "f() { times | sed -n \"$1p\"; }; { f 1; f 2; } | tr -d .0-9; f 2 | grep -c '^[0-9]m[0-9]*[.]0*s 0m0[.]0*s$'",
    "echo one >f; ln f g; ln -s f h; cmp f g && test -h h && cat h; readlink h; rm f g h",
    "cd /tmp && pwd; mkdir -p w/a; cd w/a; pwd | sed s,.*/w/,,; ls ..; cd ..; rmdir a",
    "set -C; : >f; : >f; echo $?; : >|f; echo $?; rm f",
    "test -f /etc/passwd && [ -d /tmp ] && [ ! -e /nope ] && echo tests; [ a = a -a 1 -lt 2 ]; echo $?",
    "while :; do break; done; for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done",
    "sh -c 'kill -TERM $$'; echo $?; sh -c 'exit 300'; echo $?",
    "yes | head -n 1; echo $?",
    "echo $# $-; sh -c 'echo $0 $1' name arg; echo 'echo read from stdin' | sh",
    "a=1 b=$a; echo $b; : ${c:=assigned}; echo $c; echo \"${d:?is missing}\"; echo never",
    "times >/dev/null; echo $?; getopts ab: o -b x; echo $o $OPTARG",
    "x=5; : $((x += 2)); echo $x $((x > 6 ? 1 : 0)) $((0x1f)) $((1 << 10))",
    "alias e=echo; eval 'e aliased'; hash cat; unalias e; echo $?",
    "(sleep 0.02; echo late) & echo early; wait",
    "for i in 1 2 3 4 5 6 7 8; do (for j in 1 2 3; do (echo $i$j); done) & done | sort | tail -n 1; wait",
    "x=$(sh -c 'echo out; exit 3'); echo $x $?; exec echo replaced",
    "a() { b; }; b() { (return 3); }; a; echo $?; $(exit 2); echo $?; y=$(false) || echo failed",
];

#[test]
fn scripts_do_what_they_do_in_the_machines_own_dash() {
    let container = container();
    let mut differ = Vec::new();
    for script in SAME {
        let theirs = native(script);
        let inside = format!("mkdir -p /tmp/w; cd /tmp/w; {script}");
        let ours = sh(&container, &["-c", &inside], b"");
        if (ours.code, ours.out()) != (theirs.code, theirs.out()) {
            differ.push(format!(
                "{script}\n  native {} {:?} {:?}\n  ours   {} {:?} {:?}",
                theirs.code,
                theirs.out(),
                theirs.err(),
                ours.code,
                ours.out(),
                ours.err()
            ));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn every_command_is_an_execution_by_digest_and_a_fork_is_none() {
    let container = container();
    let output = sh(
        &container,
        &[
            "-c",
            "(cat /etc/motd | sort | uniq -c) >/dev/null; echo $(true)",
        ],
        b"",
    );
    output.success();
    let audit = container.audit();
    for path in ["/usr/bin/toybox", "/bin/sh"] {
        assert!(audit.contains(&format!(r#""path":"{path}""#)), "{audit}");
    }
    assert_eq!(audit.matches(r#""path":"/bin/sh""#).count(), 1, "{audit}");
    // What is not the manifest's is refused, as 126 says.
    fs::write(
        container.root().join("usr/bin/toybox"),
        "#!/bin/sh\necho pwned\n",
    )
    .expect("writing the root file system");
    let output = sh(
        &container,
        &["-c", "cat /etc/motd; echo $?; (cat /etc/motd); echo $?"],
        b"",
    );
    assert_eq!(output.out(), "126\n126\n", "{}", output.err());
}

#[test]
fn a_shell_in_a_pipe_reads_its_script_from_there() {
    let container = container();
    let output = sh(
        &container,
        &[],
        b"x=$(echo one)\necho $x | cat\n(echo two)\nexit 4\n",
    );
    assert_eq!((output.code, output.out().as_str()), (4, "one\ntwo\n"));
}
