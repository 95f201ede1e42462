package memory

import (
	"bytes"
	"path"
	"strings"
)

// NoLimit stands for "max", or for the huge number by which version 1 means it.
const NoLimit = 1<<64 - 1

// Cgroup is the memory controller's view of the control group this process runs in, in bytes and in numbers of events.
// High and Max are the lowest on the way up to the root, NoLimit when there is none: a parent's limit kills as well.
// InactiveFile is page cache the kernel gives up first, so Current - InactiveFile is what counts against the limit.
type Cgroup struct {
	Version                                        int // 0: no memory controller
	Path                                           string
	Current, Peak, High, Max, Swap, InactiveFile   uint64
	HighEvents, MaxEvents, OomEvents, OomKillCount uint64
}

// WorkingSet is what the group holds and the kernel can't drop at once.
func (c *Cgroup) WorkingSet() uint64 { return c.Current - min(c.InactiveFile, c.Current) }

// Limit is the amount at which the group is slowed down or killed, NoLimit when there is none.
func (c *Cgroup) Limit() uint64 { return min(c.High, c.Max) }

// ParseCgroupPath reads the text of /proc/PID/cgroup and says which hierarchy accounts memory: version 1 if one of its
// lines names the memory controller, else version 2. Version 0: neither. See cgroups(7).
func ParseCgroupPath(text []byte) (version int, group string) {
	for _, line := range bytes.Split(text, []byte{'\n'}) {
		parts := strings.SplitN(string(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			if controller == "memory" {
				return 1, parts[2]
			}
		}
		if parts[0] == "0" && parts[1] == "" {
			version, group = 2, parts[2]
		}
	}
	return version, group
}

// ParseLimit reads a limit file: "max", or a number; version 1 writes "no limit" as the largest multiple of the page size
// that fits into 63 bits.
func ParseLimit(text []byte) uint64 {
	value, ok := decimal(bytes.TrimSpace(text))
	if !ok || value >= 1<<62 {
		return NoLimit
	}
	return value
}

// readCgroup reads the files of this process's group below the kernel's root directory.
func readCgroup(k *kernel) Cgroup {
	version, group := ParseCgroupPath(k.read("/proc/self/cgroup"))
	c := Cgroup{Version: version, Path: group, High: NoLimit, Max: NoLimit}
	switch version {
	case 1:
		c.readVersion1(k, "/sys/fs/cgroup/memory")
	case 2:
		c.readVersion2(k, "/sys/fs/cgroup")
	}
	return c
}

func (c *Cgroup) readVersion2(k *kernel, mount string) {
	dir := path.Join(mount, c.Path)
	current := k.read(path.Join(dir, "memory.current"))
	if len(current) == 0 { // the root group, or the controller is not enabled here
		c.Version = 0
		return
	}
	c.Current, _ = decimal(bytes.TrimSpace(current))
	c.Peak, _ = decimal(bytes.TrimSpace(k.read(path.Join(dir, "memory.peak")))) // since 5.19
	c.Swap, _ = decimal(bytes.TrimSpace(k.read(path.Join(dir, "memory.swap.current"))))
	eachField(k.read(path.Join(dir, "memory.events")), ' ', func(name string, value []byte) {
		n, _ := decimal(value)
		switch name {
		case "high":
			c.HighEvents = n
		case "max":
			c.MaxEvents = n
		case "oom":
			c.OomEvents = n
		case "oom_kill":
			c.OomKillCount = n
		}
	})
	c.InactiveFile = statField(k.read(path.Join(dir, "memory.stat")), "inactive_file")
	for up := path.Join("/", c.Path); ; up = path.Dir(up) {
		c.High = min(c.High, ParseLimit(k.read(path.Join(mount, up, "memory.high"))))
		c.Max = min(c.Max, ParseLimit(k.read(path.Join(mount, up, "memory.max"))))
		if up == "/" {
			return
		}
	}
}

func (c *Cgroup) readVersion1(k *kernel, mount string) {
	dir := path.Join(mount, c.Path)
	usage := k.read(path.Join(dir, "memory.usage_in_bytes"))
	if len(usage) == 0 { // in a container without a namespace the group is mounted at the root of the controller
		dir = mount
		usage = k.read(path.Join(dir, "memory.usage_in_bytes"))
	}
	if len(usage) == 0 {
		c.Version = 0
		return
	}
	c.Current, _ = decimal(bytes.TrimSpace(usage))
	c.Peak, _ = decimal(bytes.TrimSpace(k.read(path.Join(dir, "memory.max_usage_in_bytes"))))
	c.MaxEvents, _ = decimal(bytes.TrimSpace(k.read(path.Join(dir, "memory.failcnt"))))
	stat := k.read(path.Join(dir, "memory.stat"))
	c.InactiveFile = statField(stat, "total_inactive_file")
	c.Swap = statField(stat, "total_swap")
	c.Max = ParseLimit(k.read(path.Join(dir, "memory.limit_in_bytes")))
	if n := statField(stat, "hierarchical_memory_limit"); n != 0 && n < 1<<62 {
		c.Max = min(c.Max, n)
	}
	c.OomKillCount = statField(k.read(path.Join(dir, "memory.oom_control")), "oom_kill") // since 4.13
}

func statField(text []byte, wanted string) (n uint64) {
	eachField(text, ' ', func(name string, value []byte) {
		if name == wanted {
			n, _ = decimal(value)
		}
	})
	return n
}
