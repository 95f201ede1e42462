package config

import (
	"runtime"
	"time"
)

// keys binds every configuration key to its field and sets the field to its default.
// The order is that of the generated file.
func (c *Config) keys() []*Key {
	workers := int64(min(runtime.NumCPU(), 4))
	return []*Key{
		list(&c.Endpoints, "endpoints", "ipc:///run/edged/edged.sock", "Where clients connect: ipc://PATH or tcp://ADDRESS:PORT. TCP beyond loopback needs CURVE keys."),
		enum(&c.LogLevel, "log_level", "info", "Least severe level that is logged.", "debug", "info", "warn", "error"),
		enum(&c.LogFormat, "log_format", "auto", "auto: the journal under systemd, else text.", "auto", "journald", "text", "json"),

		enum(&c.Embed, "embed", "auto", "What embeds Python: MetaCall where it is installed, else CPython itself.", "auto", "metacall", "cpython"),
		text(&c.Python, "python", "", "Interpreter whose environment is used; empty: a .venv beside the daemon, VIRTUAL_ENV, the package's own, /usr/bin/python3."),
		list(&c.PythonPath, "python_path", "", "Further folders on Python's sys.path."),
		text(&c.LibPython, "libpython", "", "Path of libpython3.X.so.1.0; empty: that of the interpreter."),
		text(&c.MetaCallLib, "metacall_lib", "", "Path of libmetacall.so; empty: the loader path, /usr/local/lib, /gnu/lib."),
		text(&c.Model, "model", "", "The .tflite model; empty: the one that ships with edged."),
		text(&c.Handler, "handler", "", "A Python file with process_batch(texts), called instead of the built-in model."),
		table(&c.HandlerOptions, "handler_options", "Passed to the handler file's load(options)."),
		enum(&c.Cascade, "cascade", "auto", "The deep part of the model: where it may change the answer, never, or always.", "auto", "off", "full"),
		enum(&c.Inline, "inline", "auto", "Call Python on the serving thread (lowest latency) or on interpreter threads. auto: the built-in model yes, handler files no.", "auto", "true", "false"),
		count(&c.Interpreters, "interpreters", 0, 0, 64, "Interpreter threads, each with a TFLite interpreter of its own, where inline is off. 0: one; and inline, where there are a second core and a memory.limit of 96 MiB, one beside the serving thread, from the first time that two batches are left waiting."),
		duration(&c.HandlerTimeout, "handler_timeout", 30*time.Second, 100*time.Millisecond, time.Hour, "A Python call that lasts longer ends the daemon with exit code 70, for systemd to restart it."),

		count(&c.MaxBatchSize, "max_batch_size", 64, 1, 4096, "Most reviews in one call to Python."),
		duration(&c.MaxBatchTime, "max_batch_time", 4*time.Millisecond, 100*time.Microsecond, time.Minute, "Inline: predicted duration at which a batch is closed, so that short requests don't wait behind long ones."),
		duration(&c.MaxQueueDelay, "max_queue_delay", 2*time.Millisecond, 0, time.Minute, "How long interpreter threads wait for a fuller batch. Unused inline: there a batch is what arrived during the last one."),
		count(&c.FeatureWorkers, "feature_workers", workers, 1, 64, "Goroutines that turn the texts of a large batch into n-gram ids."),

		count(&c.QueueReviews, "queue_reviews", 16384, 1, 1<<24, "Most reviews waiting, in all; more is answered busy."),
		size(&c.QueueBytes, "queue_bytes", 0, 0, 1<<40, "Most bytes of requests and unread replies held, in all; 0: a share of memory.limit."),
		count(&c.ClientReviews, "client_reviews", 4096, 1, 1<<24, "Most reviews waiting for one client."),
		size(&c.ClientBytes, "client_bytes", 0, 0, 1<<40, "Most bytes held for one client; 0: a share of queue_bytes."),
		count(&c.MaxReviews, "max_reviews", 1024, 1, 1<<20, "Most reviews in one request, fewer where memory.limit is small; more is answered too_large."),
		size(&c.MaxReviewBytes, "max_review_bytes", 64<<10, 64, 16<<20, "Most bytes in one review; more is answered too_large."),
		count(&c.MaxClients, "max_clients", 64, 1, 1<<16, "Clients that the memory budget is laid out for."),
		count(&c.SendHWM, "send_hwm", 0, 0, 1<<20, "ZeroMQ's send high-water mark, in messages per peer; 0: what memory.limit allows."),
		count(&c.RecvHWM, "recv_hwm", 0, 0, 1<<20, "ZeroMQ's receive high-water mark, in messages per peer; 0: what memory.limit allows."),
		duration(&c.SendTimeout, "send_timeout", 10*time.Second, 100*time.Millisecond, time.Hour, "How long replies wait for a client that does not read; then they are dropped and counted."),
		duration(&c.DrainTimeout, "drain_timeout", 10*time.Second, 0, time.Hour, "How long SIGTERM waits for what was admitted."),

		size(&c.MemoryLimit, "memory.limit", 0, 0, 1<<50, "Bytes the daemon keeps itself under; 0 or \"auto\": from the cgroup and the board."),
		text(&c.StatsEndpoint, "stats_endpoint", "", "Endpoint of a PUB socket that sends statistics; empty: none."),
		duration(&c.StatsInterval, "stats_interval", 10*time.Second, time.Second, 24*time.Hour, "How often statistics are taken and published."),
		text(&c.MetricsListen, "metrics.listen", "", "ADDRESS:PORT of the Prometheus and status page listener; empty: none."),

		boolean(&c.Insecure, "insecure", false, "Allow TCP beyond loopback without CURVE: anyone on the network can use the daemon and read the reviews."),
		text(&c.CurveServerKey, "curve.server_key", "", "File with the server's CURVE key pair; empty: no CURVE."),
		text(&c.CurveClients, "curve.clients", "/etc/edged/clients", "Folder of the client keys that may connect."),
	}
}
