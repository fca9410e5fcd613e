"""What a cluster back end is: the plug-in group `marin.cluster_backends`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from urllib.parse import parse_qsl

from fray.client import Client

from marin.cluster.errors import UnknownClusterError, UnsupportedRequestError
from marin.cluster.jobs import JobHandle, JobSpec
from marin.cluster.nodes import Node

BACKEND_GROUP = "marin.cluster_backends"
"""Entry-point group; the name of an entry is the scheme of the URLs that it serves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterUrl:
    """The address of a cluster, `scheme[://address][?option=value&...]`."""

    scheme: str
    address: str
    options: Mapping[str, str]

    @classmethod
    def parse(cls, url: str) -> "ClusterUrl":
        """The parts of `url`.

        Raises:
            UnknownClusterError: it has no scheme.
        """
        base, _, query = url.strip().partition("?")
        scheme, _, address = base.partition("://")
        if not scheme or not scheme[0].isalpha():
            raise UnknownClusterError(
                f"{url!r} is not the address of a cluster; say local, iris-local or iris://HOST:PORT"
            )
        return cls(scheme=scheme, address=address.rstrip("/"), options=dict(parse_qsl(query, keep_blank_values=True)))

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.scheme}{'://' if self.address else ''}{self.address}{'?' if query else ''}{query}"

    def integer_option(self, name: str, default: int) -> int:
        """The option `name` as a whole number of at least 1.

        Raises:
            UnknownClusterError: it is something else.
        """
        value = self.options.get(name, str(default))
        if not value.isdigit() or int(value) < 1:
            raise UnknownClusterError(f"{self}: {name} must be a whole number of at least 1, got {value!r}")
        return int(value)

    def refuse_unknown_options(self, *known: str) -> None:
        """Raise `UnknownClusterError` if there are options beside `known`."""
        unknown = sorted(set(self.options) - set(known))
        if unknown:
            allowed = f"known: {', '.join(known)}" if known else "it takes none"
            raise UnknownClusterError(f"{self}: unknown option {', '.join(unknown)}; {allowed}")


class ClusterConnection(Protocol):
    """An open connection to one cluster."""

    @property
    def address(self) -> str:
        """URL under which other processes of this machine can connect; empty where there is none."""
        ...

    @property
    def client(self) -> Client:
        """The Fray client of the cluster, for libraries on Fray such as Zephyr."""
        ...

    def submit(self, spec: JobSpec) -> JobHandle:
        """Submit a job.

        Raises:
            UnschedulableError: no machine can ever hold it.
            UnsupportedRequestError: a part of the request cannot be honoured here.
            ClusterUnreachableError: the cluster does not answer.
        """
        ...

    def check(self, spec: JobSpec) -> None:
        """Raise what `submit` would raise without asking the cluster; submit nothing."""
        ...

    def nodes(self) -> list[Node]:
        """The machines of the cluster, ordered by id."""
        ...

    def close(self) -> None:
        """Release what the connection holds; a cluster that it started ends, with its jobs."""
        ...


@runtime_checkable
class ClusterBackend(Protocol):
    """A plug-in that connects to clusters of one kind."""

    def connect(self, url: ClusterUrl) -> ClusterConnection:
        """Connect to the cluster at `url`.

        Raises:
            UnknownClusterError: the URL lacks something or says too much.
            ClusterUnreachableError: nothing answers there.
        """
        ...


def refuse_packages(spec: JobSpec, because: str) -> None:
    """Raise `UnsupportedRequestError`, ending with `because`, if the job asks for packages of its own."""
    packages = ", ".join(spec.environment.pip_packages + spec.environment.extras)
    if packages:
        raise UnsupportedRequestError(f"job {spec.name} asks for packages ({packages}), and {because}")
