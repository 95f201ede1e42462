# Sourced by the scripts beside it.

libpython=

# private_libraries HOST BINARY LOG FOLDER: has daemons that start from here on use private copies, in FOLDER, of what the
# binary links, of the libpython that LOG names, and of MetaCall. All processes share libc anyway.
private_libraries() {
	local host=$1 binary=$2 log=$3 copies=$4/libraries python library
	python=$(sed -n 's/.*"library":"\([^"]*\)".*/\1/p' "$log" | tail -1)
	mkdir "$copies"
	for library in $( (ldd "$binary" "$python"; ls /usr/local/lib/*.so 2>/dev/null || true) | grep -oE '/[^ ]+\.so[^ ]*' | grep -v 'libc\.so\|ld-linux' | sort -u); do
		[ ! -f "$library" ] || cp -L "$library" "$copies/"
	done
	cp -L "$python" "$copies/"
	libpython=$copies/$(basename "$python")
	export LD_LIBRARY_PATH=$copies
	[ "$host" != metacall ] || private_metacall "$copies"
}

# private_metacall FOLDER: MetaCall's loader opens libpython by the path in its configuration, which must be that of our copy:
# a second copy, mapped and never used, would add a megabyte to what is measured.
private_metacall() {
	local copies=$1 configurations=${CONFIGURATION_PATH:-/usr/local/share/metacall/configurations/global.json}
	export EDGED_METACALL_LIB=$copies/libmetacall.so LOADER_LIBRARY_PATH=$copies
	cp "$(dirname "$configurations")"/*.json "$copies"
	sed -i "s|\"[^\"]*/libpython[^\"]*\"|\"$libpython\"|; s|\"[^\"]*/py_loader.json\"|\"$copies/py_loader.json\"|" "$copies"/*.json
	export CONFIGURATION_PATH=$copies/$(basename "$configurations")
}
