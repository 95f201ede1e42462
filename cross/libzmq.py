"""A static libzmq for the wheels: Debian's source package, built against libsodium alone.

A wheel can't depend on Debian's libzmq5, nor bring the nine libraries that that one is linked to.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from cross.architectures import BUILD, Architecture
from cross.archive import Archive, ArchiveError
from cross.sysroot import pins

if TYPE_CHECKING:
    from pathlib import Path

# Of what Debian builds in, CURVE is all that edged uses.
OPTIONS = {
    "BUILD_SHARED": "OFF",
    "BUILD_STATIC": "ON",
    "BUILD_TESTS": "OFF",
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_POSITION_INDEPENDENT_CODE": "ON",
    "ENABLE_CPACK": "OFF",
    "ENABLE_CURVE": "ON",
    "ENABLE_DRAFTS": "OFF",
    "ENABLE_WS": "OFF",
    "WITH_DOCS": "OFF",
    "WITH_LIBBSD": "OFF",
    "WITH_LIBSODIUM": "ON",
    "WITH_PERF_TOOL": "OFF",
    "WITH_TLS": "OFF",
    # std::condition_variable of GCC 12 would need a newer C++ library than the platform's tag promises.
    "ZMQ_CV_IMPL": "pthreads",
}
PKGCONFIG = """\
Name: libzmq
Description: ZeroMQ, static
Version: {version}
Cflags: -I{prefix}/include
Libs: -L{prefix}/lib -lzmq -l:libsodium.a -lstdc++
"""


def install(architecture: Architecture) -> Path:
    """Build libzmq, unless it is there already; return the folder of its ``libzmq.pc``.

    The sysroot must be there.

    Raises:
        ArchiveError: the source package can't be had, or doesn't build.
    """
    prefix = BUILD / "libzmq" / architecture.name
    folder = prefix / "lib" / "pkgconfig"
    [pinned] = (package for package in pins(architecture) if package.name == "libzmq3-dev")
    version = re.sub(r"\+b\d+$", "", pinned.version)  # a binary rebuild has the same source
    stamp = prefix / "version"
    if stamp.exists() and stamp.read_text() == version:
        return folder
    shutil.rmtree(prefix, ignore_errors=True)
    source = prefix / "source"
    source.mkdir(parents=True)
    Archive(architecture.name).source("zeromq3", version, source)
    tree = next(path for path in source.iterdir() if path.is_dir())
    flags = f"-g0 -ffile-prefix-map={tree}=zeromq3 -ffile-prefix-map={architecture.sysroot}="
    options = {
        **OPTIONS,
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": architecture.triplet.partition("-")[0],
        "CMAKE_SYSROOT": architecture.sysroot,
        "CMAKE_C_COMPILER": architecture.compiler,
        "CMAKE_CXX_COMPILER": architecture.compiler.replace("gcc", "g++"),
        "CMAKE_C_FLAGS": flags,
        "CMAKE_CXX_FLAGS": flags,
    }
    libraries = architecture.sysroot / "usr/lib" / architecture.triplet / "pkgconfig"
    environ = {
        **os.environ,
        "PKG_CONFIG_LIBDIR": str(libraries),
        "PKG_CONFIG_SYSROOT_DIR": str(architecture.sysroot),
    }
    log = prefix / "build.log"
    configure = ["cmake", "-S", str(tree), "-B", str(source / "build")]
    configure += [f"-D{name}={value}" for name, value in options.items()]
    make = ["cmake", "--build", str(source / "build"), "--target", "libzmq-static", f"-j{os.cpu_count()}"]
    with log.open("w") as output:
        for command in (configure, make):
            if subprocess.run(command, env=environ, stdout=output, stderr=output, check=False).returncode:
                raise ArchiveError(f"libzmq for {architecture.name} doesn't build, see {log}")
    shutil.copytree(tree / "include", prefix / "include")
    folder.mkdir(parents=True)
    shutil.copy(source / "build/lib/libzmq.a", prefix / "lib")
    for name in ("COPYING", "COPYING.LESSER"):
        shutil.copy(tree / name, prefix)
    (folder / "libzmq.pc").write_text(PKGCONFIG.format(version=version.partition("-")[0], prefix=prefix))
    shutil.rmtree(source)
    stamp.write_text(version)
    return folder
