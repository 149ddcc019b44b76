"""Containers on networks by CNI plugins.

    with coaming.Context() as ctx:
        client = coaming.cni.Client(ctx, plugin_dir=["/usr/lib/cni"], conf_dir=["/etc/cni/net.d"])
        network = client.load("web")
        result = client.add(network, "c1", "/run/netns/c1", port=["8080:80"])
        print(result.ips[0].address)
        client.delete(network, "c1", "/run/netns/c1")

Keyword arguments are the keys of the option families "cni.client", "cni.load", "cni.attach", "cni.gc"
and "cni.run" (coaming.option_names), beside timeout, cancel, progress and notes.
"""
from __future__ import annotations

import json
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

from coaming import _core
from coaming._core import Context, Handle, PathLike, blocking, call, encode, job, new, take_buf, text
from coaming._ffi import ffi, lib

__all__ = ["Attachment", "Client", "Interface", "Ip", "Network", "Result", "netns_id"]


class Interface(NamedTuple):
    """An interface of a result; the sandbox is empty for one on the host."""

    name: str
    mac: str
    sandbox: str


class Ip(NamedTuple):
    """An address of a result, "10.88.0.2/16", its gateway and the index of its interface."""

    address: str
    gateway: Optional[str]
    interface: Optional[int]


def _steps(iterator: Any, kind: type, ctype: str, step: Any) -> Iterator[Any]:
    while True:
        out = ffi.new(ctype + " **")
        call(step, iterator, out)
        if out[0] == ffi.NULL:
            return
        yield kind(out[0])


class Network(Handle):
    """A named list of plugins."""

    _free = lib.coam_cni_network_free

    @classmethod
    def parse(cls, ctx: Context, document: Union[str, bytes, Dict[str, Any]]) -> "Network":
        """Reads a list, or one plugin's configuration, from JSON."""
        if isinstance(document, dict):
            document = json.dumps(document)
        data = document.encode() if isinstance(document, str) else document
        return new(cls, "coam_cni_network", lib.coam_cni_network_parse, ctx._ptr, data, len(data))

    @classmethod
    def load_file(cls, ctx: Context, path: PathLike) -> "Network":
        return new(cls, "coam_cni_network", lib.coam_cni_network_load_file, ctx._ptr, encode(path))

    @property
    def name(self) -> str:
        return text(lib.coam_cni_network_name(self._ptr))

    @property
    def version(self) -> str:
        return text(lib.coam_cni_network_version(self._ptr))

    @property
    def path(self) -> str:
        return text(lib.coam_cni_network_path(self._ptr))

    @property
    def plugins(self) -> List[str]:
        """The types of the plugins, in order."""
        return [text(lib.coam_cni_network_plugin_type(self._ptr, i))
                for i in range(lib.coam_cni_network_plugin_count(self._ptr))]

    def to_json(self) -> str:
        return text(lib.coam_cni_network_json(self._ptr))

    def to_dict(self) -> Dict[str, Any]:
        return json.loads(self.to_json())

    def __repr__(self) -> str:
        return f"<coaming.cni.Network {self.name!r} {'+'.join(self.plugins)}>"


class Result(Handle):
    """What ADD gave."""

    _free = lib.coam_cni_result_free

    @classmethod
    def parse(cls, ctx: Context, document: Union[str, bytes], fallback_version: str = "0.1.0"
              ) -> "Result":
        data = document.encode() if isinstance(document, str) else document
        return new(cls, "coam_cni_result", lib.coam_cni_result_parse, ctx._ptr, data, len(data),
                   fallback_version.encode())

    def convert(self, version: str) -> "Result":
        """The same result in the shape of another version."""
        return new(Result, "coam_cni_result", lib.coam_cni_result_convert, self._ptr,
                   version.encode())

    @property
    def version(self) -> str:
        return text(lib.coam_cni_result_version(self._ptr))

    @property
    def interfaces(self) -> List[Interface]:
        return [Interface(text(lib.coam_cni_result_interface_name(self._ptr, i)),
                          text(lib.coam_cni_result_interface_mac(self._ptr, i)),
                          text(lib.coam_cni_result_interface_sandbox(self._ptr, i)))
                for i in range(lib.coam_cni_result_interface_count(self._ptr))]

    @property
    def ips(self) -> List[Ip]:
        out = []
        for i in range(lib.coam_cni_result_ip_count(self._ptr)):
            index = lib.coam_cni_result_ip_interface(self._ptr, i)
            out.append(Ip(text(lib.coam_cni_result_ip_address(self._ptr, i)),
                          text(lib.coam_cni_result_ip_gateway(self._ptr, i)) or None,
                          index if index >= 0 else None))
        return out

    def to_json(self, pretty: bool = False) -> str:
        if pretty:
            return text(lib.coam_cni_result_json_pretty(self._ptr))
        return text(lib.coam_cni_result_json(self._ptr))

    def to_dict(self) -> Dict[str, Any]:
        return json.loads(self.to_json())

    def __repr__(self) -> str:
        return f"<coaming.cni.Result {', '.join(ip.address for ip in self.ips) or 'no address'}>"


class Attachment(Handle):
    """One attachment as the cache remembers it."""

    _free = lib.coam_cni_attachment_free

    @property
    def network(self) -> str:
        return text(lib.coam_cni_attachment_network(self._ptr))

    @property
    def container_id(self) -> str:
        return text(lib.coam_cni_attachment_container(self._ptr))

    @property
    def interface(self) -> str:
        return text(lib.coam_cni_attachment_interface(self._ptr))

    @property
    def netns(self) -> str:
        return text(lib.coam_cni_attachment_netns(self._ptr))

    @property
    def config(self) -> str:
        """The configuration it was made with; empty if the cache does not know."""
        return text(lib.coam_cni_attachment_config(self._ptr))

    @property
    def result(self) -> Optional[Result]:
        pointer = lib.coam_cni_attachment_result(self._ptr)
        return Result(pointer) if pointer != ffi.NULL else None

    def __repr__(self) -> str:
        return f"<coaming.cni.Attachment {self.container_id}/{self.interface} on {self.network!r}>"


def netns_id(netns: PathLike) -> str:
    """The container id that cnitool derives from a namespace's absolute path."""
    return take_buf(lib.coam_cni_netns_id, encode(netns)).decode()


class Client(Handle):
    """Where plugins, configurations and results are. Safe to share between threads."""

    _free = lib.coam_cni_client_free

    def __init__(self, ctx: Context, **options: Any):
        self._ctx = ctx
        opened = _core.Options("cni.client", options)
        out = ffi.new("coam_cni_client **")
        call(lib.coam_cni_client_new, ctx._ptr, opened.pointer, out)
        super().__init__(out[0])

    def load(self, name: str, **options: Any) -> Network:
        """The network called `name` in the configuration directories."""
        return blocking("cni.load", self._ctx.with_defaults(options), lambda o: new(
            Network, "coam_cni_network", lib.coam_cni_network_load, self._ctx._ptr, self._ptr,
            encode(name), o))

    def networks(self, **options: Any) -> List[Network]:
        """Every network of the configuration directories."""
        def run(pointer: Any) -> List[Network]:
            out = ffi.new("coam_cni_networks **")
            call(lib.coam_cni_networks_new, self._ctx._ptr, self._ptr, pointer, out)
            iterator = ffi.gc(out[0], lib.coam_cni_networks_free)
            return list(_steps(iterator, Network, "coam_cni_network", lib.coam_cni_networks_next))
        return blocking("cni.load", self._ctx.with_defaults(options), run)

    def add(self, network: Network, container_id: str, netns: PathLike, **options: Any) -> Result:
        """Attaches a container; a failure leaves nothing attached."""
        return job("cni.attach", self._ctx.with_defaults(options), lambda o, ret: call(
            lib.coam_cni_add_start, self._ctx._ptr, self._ptr, network._ptr, encode(container_id),
            encode(netns), o, ret), lambda j: new(
                Result, "coam_cni_result", lib.coam_cni_add_finish, j))

    def delete(self, network: Network, container_id: str, netns: Optional[PathLike] = None,
               **options: Any) -> None:
        """Detaches a container; no error if it is not attached."""
        path = encode(netns) if netns is not None else ffi.NULL
        job("cni.attach", self._ctx.with_defaults(options), lambda o, ret: call(
            lib.coam_cni_del_start, self._ctx._ptr, self._ptr, network._ptr, encode(container_id),
            path, o, ret), lambda j: call(lib.coam_cni_del_finish, j))

    def check(self, network: Network, container_id: str, netns: PathLike, **options: Any) -> None:
        """Raises unless the attachment is as it was made."""
        blocking("cni.attach", self._ctx.with_defaults(options), lambda o: call(
            lib.coam_cni_check, self._ctx._ptr, self._ptr, network._ptr, encode(container_id),
            encode(netns), o))

    def status(self, network: Network, **options: Any) -> None:
        """Raises unless the network would serve an ADD now."""
        blocking("cni.run", self._ctx.with_defaults(options), lambda o: call(
            lib.coam_cni_status, self._ctx._ptr, self._ptr, network._ptr, o))

    def gc(self, network: Network, keep: Iterable[Tuple[str, str]] = (), **options: Any) -> None:
        """Removes every attachment of the network but those of `keep` (container, interface)."""
        options["keep"] = [f"{container}/{interface}" for container, interface in keep]
        blocking("cni.gc", self._ctx.with_defaults(options), lambda o: call(
            lib.coam_cni_gc, self._ctx._ptr, self._ptr, network._ptr, o))

    def recover(self, **options: Any) -> int:
        """Undoes what a crash left half attached; the number of those."""
        def run(pointer: Any) -> int:
            count = ffi.new("int64_t *")
            call(lib.coam_cni_recover, self._ctx._ptr, self._ptr, pointer, count)
            return count[0]
        return blocking("cni.run", self._ctx.with_defaults(options), run)

    def validate(self, network: Network, **options: Any) -> List[str]:
        """Checks that every plugin is there and speaks the version; the usable capabilities."""
        return json.loads(blocking("cni.run", self._ctx.with_defaults(options), lambda o: take_buf(
            lib.coam_cni_validate, self._ctx._ptr, self._ptr, network._ptr, o)))

    def plugin_versions(self, plugin: str, **options: Any) -> List[str]:
        """The versions that a plugin speaks."""
        return json.loads(blocking("cni.run", self._ctx.with_defaults(options), lambda o: take_buf(
            lib.coam_cni_plugin_versions, self._ctx._ptr, self._ptr, encode(plugin),
            o)))["supportedVersions"]

    def attachments(self, container_id: Optional[str] = None) -> List[Attachment]:
        """What is attached, as far as the cache knows."""
        out = ffi.new("coam_cni_attachments **")
        call(lib.coam_cni_attachments_new, self._ctx._ptr, self._ptr,
             encode(container_id) if container_id is not None else ffi.NULL, out)
        iterator = ffi.gc(out[0], lib.coam_cni_attachments_free)
        return list(_steps(iterator, Attachment, "coam_cni_attachment",
                           lib.coam_cni_attachments_next))

    def delete_attachment(self, attachment: Attachment, **options: Any) -> None:
        """Undoes an attachment by the configuration it was made with."""
        blocking("cni.run", self._ctx.with_defaults(options), lambda o: call(
            lib.coam_cni_attachment_del, self._ctx._ptr, self._ptr, attachment._ptr, o))
