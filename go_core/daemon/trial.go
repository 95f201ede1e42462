package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"edged/model"
	"edged/protocol"
	"edged/python"
)

// TryFlag is the flag that makes the program load one model, classify one review and end.
const TryFlag = "try-model"

// trialTime is how long a model may take to load and answer: far more than 4 MiB need, even
// on a slow board with a cold SD card.
const trialTime = 60 * time.Second

// check opens a model file and refuses it before anything interprets it. A file that no model
// card vouches for is first loaded by a process of its own, because TFLite does not verify what
// it reads: a damaged file can take the whole process with it.
func check(path string) (*model.File, error) {
	file, err := model.Open(path)
	if err != nil || file.Vouched {
		return file, err
	}
	if err := tryApart(path); err != nil {
		file.Close()
		return nil, fmt.Errorf("model %s: refused on trial: %w", path, err)
	}
	return file, nil
}

func tryApart(path string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	said, child, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = said.Close() }()
	args := append(append([]string{self}, os.Args[1:]...), "--"+TryFlag, path)
	process, err := os.StartProcess(self, args, &os.ProcAttr{Files: []*os.File{nil, child, child}})
	_ = child.Close()
	if err != nil {
		return fmt.Errorf("no trial process: %w", err)
	}
	timer := time.AfterFunc(trialTime, func() { _ = process.Kill() })
	defer timer.Stop()
	words, _ := io.ReadAll(io.LimitReader(said, 4096))
	_, _ = io.Copy(io.Discard, said)
	state, err := process.Wait()
	if err != nil {
		return err
	}
	return explainTrial(state, string(words))
}

func explainTrial(state *os.ProcessState, words string) error {
	if state.Success() {
		return nil
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		if status.Signal() == syscall.SIGKILL {
			return fmt.Errorf("it used up its time (%v) or memory\n  remedy: use a smaller or undamaged model", trialTime)
		}
		return fmt.Errorf("TFLite crashed on it (%v)\n  remedy: the file is damaged; copy it again", status.Signal())
	}
	if state.ExitCode() != ExitUnavailable {
		return fmt.Errorf("TFLite crashed on it (exit code %d)\n  remedy: the file is damaged; copy it again", state.ExitCode())
	}
	return errors.New(words)
}

// Try loads one model in this process, classifies one review with it and returns the exit
// code: 0, or 69 with the reason on stderr.
func Try(options Options, path string, stderr io.Writer) int {
	if err := tryHere(options, path); err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return ExitUnavailable
	}
	return ExitOK
}

func tryHere(options Options, path string) error {
	c := *options.Config
	c.Model, c.Handler = path, ""
	host, err := python.Open(pythonOptions(&c, options.Log))
	if err != nil {
		return err
	}
	g, err := loadUnchecked(host, &c, 1, nil)
	if err != nil {
		return err
	}
	thread, err := host.Attach()
	if err != nil {
		return err
	}
	runner, release := g.runner(thread, &model.Stages{}, options.Log)
	defer release()
	return runner.Run([][]byte{[]byte(canaryText)}, make([]protocol.Result, 1))
}
