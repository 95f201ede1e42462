"""edgectl keys: make CURVE keys, and say which clients may connect over the network.

Keys are certificates as czmq and pyzmq (`zmq.auth`) know them: NAME.key holds the public half,
NAME.key_secret both. The daemon allows the clients whose NAME.key lies in its folder of clients, and follows
that folder: to allow or revoke is to put a file there or take it away, and counts at once.
"""

from __future__ import annotations

import argparse
import os
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edged.cli import exits
from edged.cli.exits import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER_SECRET = "/etc/edged/server.key_secret"  # noqa: S105 - a path
CLIENTS = "/etc/edged/clients"
USER = "edged"  # whom the service runs as
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
PUBLIC_KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")  # Z85, https://rfc.zeromq.org/spec/32/
EPILOG = f"""\
To let a client in over the network:
  on the board    edgectl keys new --server          once; then name the file in /etc/edged/edged.toml
  on the client   edgectl keys new till-3            till-3.key_secret never leaves the client
  on the board    edgectl keys allow till-3.key      no restart
  on the client   edgectl info --endpoint tcp://BOARD:5555 --server-key 'KEY' --client-key till-3.key_secret

Files: {SERVER_SECRET} ($EDGED_CURVE_SERVER_KEY), {CLIENTS} ($EDGED_CURVE_CLIENTS)."""


class Allowed(NamedTuple):
    """A file in the folder of clients; `key` is None where it holds none."""

    name: str
    path: Path
    key: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl keys`."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(prog="edgectl keys", dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="make a key pair, for a client or for the server")
    kind = new.add_mutually_exclusive_group(required=True)
    kind.add_argument("name", nargs="?", help="the client's name")
    kind.add_argument("--server", action="store_true", help="make the server's pair")
    new.add_argument(
        "--folder", type=Path, default=Path(), help="where to put a client's pair (default: here)"
    )
    new.set_defaults(act=_new)
    allow = actions.add_parser("allow", help="let a client connect")
    allow.add_argument("key", help="its NAME.key, or the 40 characters of its public key")
    allow.add_argument("--name", help="what to call it (default: as the file is called)")
    allow.set_defaults(act=_allow)
    revoke = actions.add_parser("revoke", help="refuse a client from now on, on open connections too")
    revoke.add_argument("name", help="its name, or its public key")
    revoke.set_defaults(act=_revoke)
    actions.add_parser("list", help="list the clients that may connect").set_defaults(act=_list)
    actions.add_parser("show", help="print the server's public key, for clients").set_defaults(act=_show)
    for action in actions.choices.values():
        action.add_argument(
            "--clients", type=Path, default=Path(os.environ.get("EDGED_CURVE_CLIENTS") or CLIENTS),
            help=argparse.SUPPRESS if action is new else "the folder of clients (default: %(default)s)",
        )  # fmt: skip
        action.add_argument(
            "--server-key", type=Path,
            default=Path(os.environ.get("EDGED_CURVE_SERVER_KEY") or SERVER_SECRET),
            help="the server's secret key file (default: %(default)s)",
        )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Do what was asked; returns the exit code."""
    code: int = args.act(args)
    return code


def _new(args: argparse.Namespace) -> int:
    import zmq  # noqa: PLC0415 - the other actions need no ZeroMQ

    if args.server:
        secret_path, name = args.server_key, "server"
    else:
        name = _checked(args.name)
        secret_path = args.folder / f"{name}.key_secret"
    public_path = _public_path(secret_path)
    for path in (secret_path, public_path):
        if path.exists():
            raise CommandError(
                exits.CANNOT_CREATE,
                f"{path} exists: it is not overwritten",
                "move it away first; whoever holds the other half of it needs the new one then",
            )
    public, secret = (key.decode() for key in zmq.curve_keypair())
    owner = USER if args.server else None
    _write(secret_path, _certificate(name, public, secret), 0o600, owner)
    _write(public_path, _certificate(name, public), 0o644, None)
    print(f"{secret_path}: the secret key, for this machine alone\n{public_path}: the public key {public}")
    if args.server:
        print(
            f'next: write server_key = "{secret_path}" below [curve] in /etc/edged/edged.toml, restart edged'
        )
    else:
        print(f"next: bring {public_path} to the board and run there: edgectl keys allow {public_path.name}")
    return exits.OK


def _allow(args: argparse.Namespace) -> int:
    if PUBLIC_KEY.fullmatch(args.key) and not Path(args.key).exists():
        key = args.key
        if args.name is None:
            raise CommandError(exits.USAGE, "a bare key has no name", "add --name NAME")
    else:
        key = _public_key(Path(args.key))
    name = _checked(args.name or Path(args.key).stem)
    for known in _allowed(args.clients):
        if known.key == key and known.name == name:
            print(f"{name} was already allowed")
            return exits.OK
        if known.key == key or known.name == name:
            what = "this key is allowed" if known.key == key else "another key is allowed"
            raise CommandError(
                exits.CANNOT_CREATE, f"{what} as {known.name}", f"first: edgectl keys revoke {known.name}"
            )
    _write(args.clients / f"{name}.key", _certificate(name, key), 0o644, None)
    print(f"{name} may connect")
    return exits.OK


def _revoke(args: argparse.Namespace) -> int:
    for known in _allowed(args.clients):
        if args.name in {known.name, known.key}:
            known.path.unlink()
            print(f"{known.name} is refused from now on")
            return exits.OK
    raise CommandError(exits.NO_INPUT, f"no client {args.name!r} is allowed", "edgectl keys list shows them")


def _list(args: argparse.Namespace) -> int:
    clients = list(_allowed(args.clients))
    width = max((len(client.name) for client in clients), default=0)
    for client in clients:
        since = datetime.fromtimestamp(client.path.stat().st_mtime, timezone.utc)
        key = client.key or f"NO KEY: {client.path}"
        print(f"{client.name:{width}}  {key:40}  {since:%Y-%m-%d %H:%M}Z")
    if not clients:
        print("no client may connect over the network; edgectl keys allow lets one in")
    return exits.OK


def _show(args: argparse.Namespace) -> int:
    path = _public_path(args.server_key)
    print(_public_key(path if path.exists() else args.server_key))
    return exits.OK


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise CommandError(
            exits.USAGE,
            f"{name!r} is no name for a client",
            "use up to 64 letters, digits, dots, dashes and underscores",
        )
    return name


def _public_path(secret: Path) -> Path:
    """The file of the public half beside a file of both."""
    return secret.with_name(
        secret.name[: -len("_secret")] if secret.name.endswith("_secret") else f"{secret.name}.key"
    )


def _allowed(folder: Path) -> Iterator[Allowed]:
    if not folder.is_dir():
        raise CommandError(
            exits.NO_INPUT,
            f"no folder of clients at {folder}",
            "the package makes it; else: mkdir it, owned by root with mode 755, and name it with --clients",
        )
    for path in sorted(folder.glob("*.key")):
        try:
            key: str | None = _public_key(path)
        except CommandError:
            key = None
        yield Allowed(path.stem, path, key)


def _public_key(path: Path) -> str:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise CommandError(exits.NO_INPUT, f"no key file {path}", "edgectl keys new makes one") from None
    except UnicodeDecodeError:
        text = ""
    found = re.search(r'^\s*public-key\s*=\s*"([^"]*)"', text, re.MULTILINE)
    if found is None or not PUBLIC_KEY.fullmatch(found[1]):
        raise CommandError(
            exits.DATA,
            f"{path} holds no public CURVE key",
            "it must be a NAME.key that edgectl keys new made",
        )
    return found[1]


def _certificate(name: str, public: str, secret: str | None = None) -> str:
    """A certificate in ZPL, https://rfc.zeromq.org/spec/4/, as zmq.auth writes and reads it."""
    made = datetime.now(timezone.utc)
    halves = [f'    public-key = "{public}"'] + ([f'    secret-key = "{secret}"'] if secret else [])
    warning = ["#   Both halves: keep this file to yourself."] if secret else []
    head = [f"#   ZeroMQ CURVE certificate, {made:%Y-%m-%d %H:%M}Z, edgectl keys", *warning]
    return "\n".join([*head, "metadata", f'    name = "{name}"', "curve", *halves, ""])


def _write(path: Path, text: str, mode: int, owner: str | None) -> None:
    """Write a new file with its mode from the first byte on; it appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            os.fchmod(descriptor, mode)
            _give(descriptor, owner)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        temporary.rename(path)
    except PermissionError as error:
        raise CommandError(
            exits.CANNOT_CREATE,
            f"cannot write {path}: {error.strerror}",
            "run it as root, or choose another folder",
        ) from None
    except FileNotFoundError:
        raise CommandError(exits.CANNOT_CREATE, f"no folder {path.parent}", "make it first") from None


def _give(descriptor: int, owner: str | None) -> None:
    """Give the server's secret to the user of the service, where there is one and this is root."""
    import pwd  # noqa: PLC0415 - for this alone

    if owner is None or os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(owner)
    except KeyError:
        return
    os.fchown(descriptor, user.pw_uid, user.pw_gid)
