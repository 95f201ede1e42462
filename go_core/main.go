// Command edged is a sentiment daemon for small boards: reviews in over ZeroMQ, sentiment out.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"edged/config"
	"edged/daemon"
	"edged/memory"
	"edged/service"
)

// version is set by the build.
var version = "0.0.0-dev"

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// run is the program: it returns the exit code.
func run(args, environ []string, stdout io.Writer, stderr *os.File) int {
	flags := flag.NewFlagSet("edged", flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("config", os.Getenv("EDGED_CONFIG"), "`FILE` of configuration (default "+config.DefaultFile+", where it exists)")
	check := flags.Bool("check-config", false, "print the configuration in effect and what follows from it, and exit")
	printDefault := flags.Bool("print-default-config", false, "print a commented configuration file, and exit")
	showVersion := flags.Bool("version", false, "print the version, and exit")
	try := flags.String(daemon.TryFlag, "", "load the model `FILE`, classify one review, and exit")
	given := config.Flags(flags)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return daemon.ExitOK
	case err != nil:
		return daemon.ExitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "edged: unexpected argument %q\n  remedy: everything is a flag; edged --help lists them\n", flags.Arg(0))
		return daemon.ExitUsage
	}
	switch {
	case *showVersion:
		fmt.Fprintln(stdout, "edged", version)
		return daemon.ExitOK
	case *printDefault:
		return report(stderr, config.WriteDefault(stdout))
	}
	c, err := load(*file, environ, given)
	if err != nil {
		fmt.Fprintf(stderr, "edged: %v\n", err)
		return daemon.ExitConfig
	}
	if *check {
		return report(stderr, c.WriteCheck(stdout))
	}
	var level slog.LevelVar
	setLevel(&level, c.LogLevel)
	handler, err := service.NewLogHandler(c.LogFormat, &level, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "edged: %v\n", err)
		return daemon.ExitConfig
	}
	options := daemon.Options{Config: c, Version: version, Log: slog.New(handler),
		Reread:   func() (*config.Config, error) { return load(*file, environ, given) },
		SetLevel: func(name string) { setLevel(&level, name) }}
	if *try != "" {
		return daemon.Try(options, *try, stderr)
	}
	return daemon.Run(options)
}

func load(path string, environ []string, given map[string]string) (*config.Config, error) {
	required := path != ""
	if !required {
		path = config.DefaultFile
	}
	file, err := config.Read(path, required)
	if err != nil {
		return nil, err
	}
	c, err := config.Load(file, environ, given)
	if err != nil {
		return nil, err
	}
	return c, c.Derive(memory.Surroundings())
}

// setLevel takes a value that the configuration has checked.
func setLevel(level *slog.LevelVar, name string) {
	var l slog.Level
	if l.UnmarshalText([]byte(name)) == nil {
		level.Set(l)
	}
}

func report(stderr io.Writer, err error) int {
	if err != nil {
		fmt.Fprintf(stderr, "edged: %v\n", err)
		return daemon.ExitUnexpected
	}
	return daemon.ExitOK
}
