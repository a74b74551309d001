"""StepwellApp: an application that serves functions and workflow steps, and how the engine reaches it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .references import Endpoint, SecretKeyReference
from .schema import Duration, Part, rule, rules
from .status import Status


class Callback(Endpoint):
    """Where the engine calls the app, and within which limits."""

    timeout: Annotated[
        Duration | None,
        Field(description="How long one call to the app may take; the default of timeouts.step. Absent: 30s."),
    ] = None
    max_in_flight: Annotated[
        int | None,
        Field(
            ge=1,
            le=100_000,
            json_schema_extra={"format": "int32"},
            description="Most calls to the app at one time, over all engines. Absent: 200.",
        ),
    ] = None


class Retention(Part):
    """How long ended runs are kept, by how they ended."""

    completed: Annotated[Duration | None, Field(description="Completed and cancelled runs. Absent: 30d.")] = None
    failed: Annotated[Duration | None, Field(description="Failed runs. Absent: 90d.")] = None


class StepwellAppSpec(Part):
    """An application that serves functions and workflow steps over one signed HTTP endpoint."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.environment == oldSelf.environment",
                "environment can't be changed: make a StepwellApp of another name for the other environment",
                field_path=".environment",
            ),
        )
    )

    environment: Annotated[
        Literal["dev", "acc", "prod"],
        Field(description="Which environment the app is: dev, acc (acceptance) or prod. Can't be changed."),
    ] = "dev"
    callback: Annotated[
        Callback,
        Field(description="Where the engine calls the app: a Service of the namespace or a URL, and the limits."),
    ]
    signing_key_secret_ref: Annotated[
        SecretKeyReference | None,
        Field(
            description=(
                "The Secret with the key that signs every request in both directions. Absent: the operator makes the"
                " Secret <app>-stepwell with the key signing-key, owned by the app. To rotate, put the old key under"
                " signing-key-previous: both are accepted while both exist."
            )
        ),
    ] = None
    discovery: Annotated[
        Literal["Auto", "Manual"],
        Field(
            description=(
                "Auto: ask the app what it serves and keep a Function object for each function. Manual: only what"
                " manifests declare."
            )
        ),
    ] = "Auto"
    retention: Annotated[Retention | None, Field(description="How long ended runs are kept.")] = None
    deletion_policy: Annotated[
        Literal["Cancel", "Drain", "Orphan"],
        Field(
            description=(
                "What happens to active runs when the StepwellApp is deleted. Cancel: they are cancelled. Drain: the"
                " deletion waits until they have ended. Orphan: they go on."
            )
        ),
    ] = "Cancel"


class Sdk(Part):
    """The SDK the app was last seen with."""

    name: Annotated[str | None, Field(max_length=64, description="Name of the SDK.")] = None
    version: Annotated[str | None, Field(max_length=64, description="Version of the SDK.")] = None
    language: Annotated[str | None, Field(max_length=64, description="Programming language.")] = None


class Address(Part):
    """Addressable, as Knative spells it."""

    url: Annotated[str, Field(max_length=2048, description="Where the app's events can be sent.")]


class Counts(Part):
    """How many definitions of each kind are in force."""

    functions: Annotated[int, Field(ge=0, json_schema_extra={"format": "int32"}, description="Functions in force.")]
    workflows: Annotated[int, Field(ge=0, json_schema_extra={"format": "int32"}, description="Workflows in force.")]


class StepwellAppStatus(Status):
    """What the operator found out about the app."""

    app_id: Annotated[
        str | None,
        Field(max_length=128, description="The app's id on the wire, sent as x-durable-app (STEPWELL_APP_ID)."),
    ] = None
    endpoint: Annotated[str | None, Field(max_length=2048, description="The URL the engine calls.")] = None
    signing_key_secret: Annotated[
        str | None, Field(max_length=253, description="Name of the Secret that holds the signing key in use.")
    ] = None
    sdk: Annotated[Sdk | None, Field(description="The SDK the app was last seen with.")] = None
    counts: Annotated[Counts | None, Field(description="Definitions in force.")] = None
    address: Annotated[Address | None, Field(description="Where to send the app's events.")] = None
