package config

import (
	"slices"
	"testing"
)

func TestReloadTakesWhatCanChangeAndNamesTheRest(t *testing.T) {
	old, err := Load(write(t, "max_batch_size = 8\nsend_hwm = 16"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	next, err := Load(write(t, "max_batch_size = 9\nsend_hwm = 17\nmodel = \"/m\"\nhandler_options = {a = 1}\n[metrics]\nlisten = \"127.0.0.1:1\""), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	merged, restart := old.Reload(next)
	if merged.MaxBatchSize != 9 || merged.Model != "/m" || merged.HandlerOptions["a"] != int64(1) || merged.SendHWM != 16 {
		t.Errorf("%+v", merged)
	}
	if !slices.Equal(restart, []string{"send_hwm", "metrics.listen"}) {
		t.Errorf("restart for %v", restart)
	}
	if old.MaxBatchSize != 8 {
		t.Error("the old configuration changed")
	}
}
