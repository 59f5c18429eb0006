// Package tap writes the Test Anything Protocol, version 13, as far as the OCI validation programs
// use it. It stands in for github.com/mndrix/tap-go, which Debian does not package.
package tap

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// T is one run of tests.
type T struct {
	// Writer takes the protocol; standard output where it is nil.
	Writer io.Writer

	lock  sync.Mutex
	count int
}

// New begins a run.
func New() *T { return &T{} }

func (t *T) print(format string, args ...interface{}) {
	out := t.Writer
	if out == nil {
		out = os.Stdout
	}
	fmt.Fprintf(out, format, args...)
}

// Header writes the version, and the plan where the number of tests is known.
func (t *T) Header(tests int) {
	t.print("TAP version 13\n")
	if tests > 0 {
		t.print("1..%d\n", tests)
	}
}

// AutoPlan writes the plan of the tests that ran.
func (t *T) AutoPlan() { t.print("1..%d\n", t.count) }

// Ok writes the result of a test.
func (t *T) Ok(passed bool, description string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.count++
	result := "ok"
	if !passed {
		result = "not ok"
	}
	t.print("%s %d - %s\n", result, t.count, description)
}

// Todo takes the next test's result for one that is not expected to be good.
func (t *T) Todo() *Todo { return &Todo{t} }

// Todo is a test that is not expected to pass.
type Todo struct{ t *T }

// Fail writes that it did not.
func (todo *Todo) Fail(description string) {
	t := todo.t
	t.lock.Lock()
	defer t.lock.Unlock()
	t.count++
	t.print("not ok %d # TODO %s\n", t.count, description)
}

// Fail writes a test that failed.
func (t *T) Fail(description string) { t.Ok(false, description) }

// Pass writes a test that passed.
func (t *T) Pass(description string) { t.Ok(true, description) }

// Skip writes tests that did not run.
func (t *T) Skip(count int, description string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	for i := 0; i < count; i++ {
		t.count++
		t.print("ok %d # SKIP %s\n", t.count, description)
	}
}

// Diagnostic writes a remark.
func (t *T) Diagnostic(message string) {
	t.print("# %s\n", strings.ReplaceAll(strings.TrimRight(message, "\n"), "\n", "\n# "))
}

// Diagnosticf writes a remark that is put together.
func (t *T) Diagnosticf(format string, args ...interface{}) {
	t.Diagnostic(fmt.Sprintf(format, args...))
}

// YAML writes details of the last test; JSON is YAML.
func (t *T) YAML(details interface{}) error {
	text, err := json.MarshalIndent(details, "  ", "  ")
	if err != nil {
		return err
	}
	t.print("  ---\n  %s\n  ...\n", text)
	return nil
}
