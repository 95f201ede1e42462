package memory

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// ParseTemperature reads the text of /sys/class/thermal/thermal_zone*/temp, thousandths of a degree Celsius, and returns
// degrees; NaN when it is none (a zone that is switched off answers with an error or an absurd number).
func ParseTemperature(text []byte) float64 {
	milli, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil || milli < -55_000 || milli > 200_000 {
		return math.NaN()
	}
	return float64(milli) / 1000
}

// Throttle is the state word of a Raspberry Pi's firmware: bits 0 to 3 say what holds now, bits 16 to 19 what happened
// since boot. See `vcgencmd get_throttled` in the Raspberry Pi documentation.
type Throttle struct {
	Known bool
	Word  uint32
}

// throttleBits names the bits; each occurs again 16 bits higher for "since boot".
var throttleBits = [4]string{"under_voltage", "frequency_capped", "throttled", "soft_temperature_limit"}

// ParseThrottle reads the text of the firmware driver's get_throttled file: a hexadecimal number without prefix.
func ParseThrottle(text []byte) Throttle {
	digits := strings.TrimPrefix(string(bytes.TrimSpace(text)), "0x")
	word, err := strconv.ParseUint(digits, 16, 32)
	return Throttle{Known: err == nil, Word: uint32(word)}
}

// appendNames appends the JSON list of the flags set in the four bits from shift on.
func (t Throttle) appendNames(dst []byte, shift int) []byte {
	dst = append(dst, '[')
	for i, name := range throttleBits {
		if t.Word>>(shift+i)&1 == 0 {
			continue
		}
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, name...)
		dst = append(dst, '"')
	}
	return append(dst, ']')
}

// readBoard returns the hottest thermal zone and the firmware's throttle word.
func readBoard(k *kernel) (celsius float64, throttle Throttle) {
	celsius = math.NaN()
	for _, name := range k.glob("/sys/class/thermal/thermal_zone*/temp") {
		if t := ParseTemperature(k.read(name)); !(t <= celsius) && !math.IsNaN(t) {
			celsius = t
		}
	}
	for _, name := range k.glob("/sys/devices/platform/soc*/soc*:firmware/get_throttled") {
		throttle = ParseThrottle(k.read(name))
	}
	return celsius, throttle
}
