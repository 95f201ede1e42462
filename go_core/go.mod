module edged

go 1.24

require (
	github.com/BurntSushi/toml v1.6.0
	github.com/pebbe/zmq4 v1.4.0
	golang.org/x/sys v0.35.0
)
