package service

import (
	"log/slog"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestShortTurnsAreTheThreadsAndKeepItsPriority(t *testing.T) {
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil || before.Policy != unix.SCHED_NORMAL || before.Runtime == 0 {
		t.Skipf("this kernel does not tell how long turns are, or the tests run under another policy: %+v, %v", before, err)
	}
	ShortTurns(slog.New(slog.DiscardHandler))
	after, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if after.Runtime != uint64(turn) || after.Nice != before.Nice || after.Policy != before.Policy {
		t.Errorf("turns of %d ns, nice %d, policy %d; were %d, %d, %d", after.Runtime, after.Nice, after.Policy, before.Runtime, before.Nice, before.Policy)
	}
}

func TestAnotherPolicyIsNobodysToChange(t *testing.T) {
	runtime.LockOSThread()
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0); err != nil {
		t.Skipf("no other policy may be set here: %v", err)
	}
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	ShortTurns(slog.New(slog.DiscardHandler))
	if after, err := unix.SchedGetAttr(0, 0); err != nil || *after != *before {
		t.Errorf("%+v, was %+v, %v", after, before, err)
	}
}
