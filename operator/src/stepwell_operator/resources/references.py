"""How resources name one another and where calls go: appRef, targets, Services."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .schema import Part, ResourceName, exactly_one_of, rule, rules


class AppReference(Part):
    """The StepwellApp it belongs to, in the same namespace."""

    name: Annotated[ResourceName, Field(description="Name of a StepwellApp in the same namespace.")]


class SecretKeyReference(Part):
    """A key of a Secret in the same namespace."""

    name: Annotated[
        str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253, description="Name of the Secret.")
    ]
    key: Annotated[
        str,
        Field(
            pattern=r"^[-._a-zA-Z0-9]+$",
            max_length=253,
            description="Key in the Secret's data whose value is used.",
        ),
    ] = "signing-key"


class ServiceReference(Part):
    """A Service of the same namespace and the path on it. ExternalName Services are refused."""

    name: Annotated[
        ResourceName, Field(description="Name of a Service in the same namespace; not of type ExternalName.")
    ]
    port: Annotated[
        int | None,
        Field(ge=1, le=65535, json_schema_extra={"format": "int32"}, description="Port of the Service. Absent: 80."),
    ] = None
    path: Annotated[
        str | None,
        Field(pattern=r"^/", max_length=1024, description="Path on the Service, with a leading slash. Absent: /."),
    ] = None


class Endpoint(Part):
    """Where a request goes: a Service of the namespace or a URL, exactly one of them."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(exactly_one_of("service", "url"), "set exactly one of service and url"),
        )
    )

    service: Annotated[ServiceReference | None, Field(description="A Service in the same namespace.")] = None
    url: Annotated[
        str | None,
        Field(
            pattern=r"^https?://.",
            max_length=2048,
            description="A full URL, for an app outside the cluster. The operator's policy decides which are allowed.",
        ),
    ] = None
