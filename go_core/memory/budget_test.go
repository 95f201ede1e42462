package memory

import (
	"strings"
	"testing"
)

var usual = Want{Clients: 64, MaxReviews: 1024}

func TestABudgetNeverAddsUpToMoreThanItsLimit(t *testing.T) {
	for _, limit := range []int64{64, 72, 96, 128, 256, 512, 4096, 1 << 20} {
		for _, clients := range []int64{1, 8, 64} {
			b, err := Derive(limit*mib, "a test", Want{Clients: clients, MaxReviews: 1024})
			if err != nil {
				t.Fatalf("%d MiB, %d clients: %v", limit, clients, err)
			}
			if b.Worst > b.Limit || b.Warning() != "" {
				t.Errorf("%d MiB, %d clients: worst case %d MiB\n%s", limit, clients, b.Worst/mib, b.String())
			}
			for name, value := range map[string]int64{
				"GoLimit": b.GoLimit, "QueueBytes": b.QueueBytes, "ClientQueueBytes": b.ClientQueueBytes, "MaxMessageBytes": b.MaxMessageBytes,
				"RecvHWM": b.RecvHWM, "SendHWM": b.SendHWM, "MaxReviews": b.MaxReviews, "MaxReplyBytes": b.MaxReplyBytes,
			} {
				if value <= 0 || value > b.Limit {
					t.Errorf("%d MiB, %d clients: %s = %d", limit, clients, name, value)
				}
			}
			if b.ClientQueueBytes > b.QueueBytes || b.MaxMessageBytes > b.ClientQueueBytes {
				t.Errorf("%d MiB, %d clients: a message of %d, a client's %d and the queue's %d do not nest", limit, clients, b.MaxMessageBytes, b.ClientQueueBytes, b.QueueBytes)
			}
		}
	}
}

func TestTheSmallestBudgetStillTakesRealReviews(t *testing.T) {
	b, err := Derive(64*mib, "a test", usual)
	if err != nil {
		t.Fatal(err)
	}
	if b.MaxMessageBytes < 16*kib || b.MaxReviews < 64 || b.QueueBytes < 2*mib {
		t.Errorf("64 MiB for 64 clients leave too little:\n%s", b.String())
	}
}

func TestMoreLimitIsNeverWorse(t *testing.T) {
	var before Budget
	for limit := int64(64); limit <= 1024; limit += 8 {
		b, err := Derive(limit*mib, "a test", usual)
		if err != nil {
			t.Fatal(err)
		}
		if b.QueueBytes < before.QueueBytes || b.GoLimit < before.GoLimit || b.RecvHWM < before.RecvHWM {
			t.Errorf("at %d MiB:\n%sbefore:\n%s", limit, b.String(), before.String())
		}
		before = b
	}
}

func TestExplicitSettingsWinAndWarn(t *testing.T) {
	want := Want{Clients: 64, MaxReviews: 10, RecvHWM: 1000, SendHWM: 2000, QueueBytes: 5 * mib, ClientQueueBytes: mib, MaxMessageBytes: 2 * mib}
	b, err := Derive(128*mib, "a test", want)
	if err != nil {
		t.Fatal(err)
	}
	if b.RecvHWM != 1000 || b.SendHWM != 2000 || b.QueueBytes != 5*mib || b.ClientQueueBytes != mib || b.MaxMessageBytes != 2*mib || b.MaxReviews != 10 {
		t.Errorf("explicit settings were changed:\n%s", b.String())
	}
	if w := b.Warning(); !strings.Contains(w, "recv_hwm") || !strings.Contains(w, "memory.limit is 128 MiB") {
		t.Errorf("warning %q", w)
	}
}

func TestTooSmallALimitNamesTheRemedy(t *testing.T) {
	_, err := Derive(48*mib, "memory.limit", usual)
	if err == nil {
		t.Fatal("48 MiB were accepted")
	}
	for _, part := range []string{"memory.limit = 48 MiB", "max_clients = 64", "remedy"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if _, err := Derive(53*mib, "memory.limit", usual); err != nil {
		t.Errorf("what the message asks for is refused: %v", err)
	}
}

func TestAutoLimit(t *testing.T) {
	for name, test := range map[string]struct {
		group  Cgroup
		system System
		want   int64
		source string
	}{
		"group":         {Cgroup{Version: 2, Path: "/edged", High: NoLimit, Max: 64 * mib}, System{Total: 512 * mib}, 64 * mib, "/edged"},
		"group high":    {Cgroup{Version: 2, High: 60 * mib, Max: 64 * mib}, System{}, 60 * mib, "control group"},
		"no limit":      {Cgroup{Version: 2, High: NoLimit, Max: NoLimit}, System{Total: 1024 * mib}, 256 * mib, "quarter of its 1024 MiB"},
		"no controller": {Cgroup{}, System{Total: 512 * mib}, 128 * mib, "board"},
		"small board":   {Cgroup{}, System{Total: 240 * mib}, 96 * mib, "board"},
		"large machine": {Cgroup{}, System{Total: 1 << 40}, 1024 * mib, "board"},
		"nothing known": {Cgroup{}, System{}, 128 * mib, "guess"},
	} {
		limit, source := AutoLimit(test.group, test.system)
		if limit != test.want || !strings.Contains(source, test.source) {
			t.Errorf("%s: %d MiB from %q, want %d MiB from %q", name, limit/mib, source, test.want/mib, test.source)
		}
	}
}

func TestTheControlGroupsLimitIsNeverExceeded(t *testing.T) {
	group := Cgroup{Version: 2, Path: "/edged", High: NoLimit, Max: 100 * mib}
	for configured, want := range map[int64]int64{0: 100 * mib, 64 * mib: 64 * mib, 200 * mib: 100 * mib} {
		if limit, _ := ChooseLimit(configured, group, System{}); limit != want {
			t.Errorf("%d MiB configured: %d MiB", configured/mib, limit/mib)
		}
	}
	if limit, source := ChooseLimit(200*mib, Cgroup{}, System{}); limit != 200*mib || source != "the configuration" {
		t.Errorf("without a group: %d MiB from %s", limit/mib, source)
	}
}
