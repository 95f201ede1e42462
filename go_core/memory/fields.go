package memory

import "bytes"

// decimal reads text as an unsigned decimal number; ok is false for anything else, also for more than 64 bits.
func decimal(text []byte) (value uint64, ok bool) {
	if len(text) == 0 || len(text) > 20 {
		return 0, false
	}
	for _, c := range text {
		digit := uint64(c - '0')
		if digit > 9 || value > (1<<64-1-digit)/10 {
			return 0, false
		}
		value = value*10 + digit
	}
	return value, true
}

// cutHex reads a hexadecimal number up to the separator.
func cutHex(text []byte, separator byte) (value uint64, rest []byte, ok bool) {
	digits, rest, found := bytes.Cut(text, []byte{separator})
	if !found || len(digits) == 0 || len(digits) > 16 {
		return 0, rest, false
	}
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			value = value<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			value = value<<4 | uint64(c-'a'+10)
		default:
			return 0, rest, false
		}
	}
	return value, rest, true
}

// kilobytes reads "   123 kB" (the kernel's kB are 1024 bytes) and returns bytes.
func kilobytes(text []byte) (uint64, bool) {
	number, found := bytes.CutSuffix(bytes.TrimSpace(text), []byte(" kB"))
	value, ok := decimal(bytes.TrimSpace(number))
	if !found || !ok || value > 1<<54-1 {
		return 0, false
	}
	return value << 10, true
}

// eachField calls visit for each "name<separator>value" line of a file of that form, values trimmed.
func eachField(text []byte, separator byte, visit func(name string, value []byte)) {
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		if name, value, found := bytes.Cut(line, []byte{separator}); found {
			visit(string(name), bytes.TrimSpace(value))
		}
	}
}
