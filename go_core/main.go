// Command edged is the sentiment daemon.
package main

func main() {}
