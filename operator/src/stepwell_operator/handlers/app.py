"""StepwellApp: signing key, callback address, probe, discovery.

The order matters. The app is registered in the engine with a key before the Secret that carries the key exists, so a
crash in between leaves nothing that can't be repeated: without a Secret the next pass makes another key and registers
that one. Signing keys are read by name, sealed by the journal and never put into status, logs or messages.
"""

from dataclasses import replace
from datetime import timedelta

from stepwell_engine.errors import StepwellError
from stepwell_engine.journal.definitions import Served, new_signing_key
from stepwell_engine.model import App, AppSettings
from stepwell_engine.transport.app_clocks import complaint, is_off, skew
from stepwell_protocol.durations import InvalidDuration

from ..conditions import Fact, Type, false, true, unknown
from ..context import Context, Probed, Verdict
from ..introspection import Probe, probe
from ..objects import POKE_ANNOTATION, Json, annotation, key_of, spec_of, uid_of
from ..world import Service, Unresolved
from .discovered import publish
from .durations import duration
from .target import ACCEPTED, RESOLVED

SIGNING_KEY = "signing-key"
PREVIOUS_KEY = "signing-key-previous"
APP_ID_KEY = "app-id"
PROBE_EVERY_SECONDS = 30.0
FAILED_PROBES_THAT_COUNT = 3
RETRY_PROBE_SECONDS = (2.0, 5.0, 15.0)


async def reconcile_app(context: Context, obj: Json) -> Verdict:
    spec = spec_of(obj)
    if spec.get("deletionPolicy") == "Drain":
        message = "spec.deletionPolicy: Drain is not supported yet: use Cancel or Orphan"
        return Verdict(facts=(false(Type.ACCEPTED, "NotYetSupported", message, permanent=True),))
    try:
        endpoint = await _endpoint(context, obj)
        keys = await _keys(context, obj)
    except Unresolved as error:
        return Verdict(
            facts=(ACCEPTED, false(Type.RESOLVED_REFS, error.reason, str(error), permanent=True)),
            again=PROBE_EVERY_SECONDS,
        )
    try:
        settings = _settings(obj, endpoint=endpoint, keys=keys)
    except InvalidDuration as error:
        return Verdict(facts=(false(Type.ACCEPTED, "InvalidDuration", f"spec: {error}", permanent=True),))
    app = await context.journal.definitions.put_app(settings)
    if keys is None:
        app = await _make_secret(context, obj, app, settings)
    probed = await _probe(context, obj, app, endpoint)
    facts = [ACCEPTED, RESOLVED, await _register(context, obj, app, probed), _reachable(probed, endpoint)]
    return Verdict(facts=tuple(facts), fields=await _fields(context, obj, app, endpoint), again=_rest(context, probed))


async def _endpoint(context: Context, obj: Json) -> str:
    callback = spec_of(obj)["callback"]
    if (service := callback.get("service")) is not None:
        return await context.world.service_url(obj["metadata"].get("namespace", ""), Service.of(service))
    return str(callback["url"])


async def _keys(context: Context, obj: Json) -> tuple[str, ...] | None:
    """The keys of the app's Secret, the current one first. None: the operator makes the Secret."""
    reference = spec_of(obj).get("signingKeySecretRef")
    namespace = obj["metadata"].get("namespace", "")
    name = reference["name"] if reference else secret_name(obj)
    key = (reference or {}).get("key", SIGNING_KEY)
    data = await context.world.read_secret(namespace, name)
    if data is None:
        if reference is None:
            return None
        raise Unresolved(
            "SecretNotFound",
            f"spec.signingKeySecretRef.name: there is no Secret {name!r} in this namespace:"
            " create it, or leave signingKeySecretRef out and the operator makes one",
        )
    if not data.get(key):
        raise Unresolved(
            "SecretKeyNotFound",
            f"Secret {name!r} has no key {key!r}: put the signing key there, or name another key in"
            " spec.signingKeySecretRef.key",
        )
    previous = data.get(PREVIOUS_KEY)
    return (data[key].strip(), *([previous.strip()] if previous and previous.strip() else []))


def secret_name(obj: Json) -> str:
    """The Secret that the operator makes for an app that names none."""
    return f"{obj['metadata']['name']}-stepwell"


def _settings(obj: Json, *, endpoint: str, keys: tuple[str, ...] | None) -> AppSettings:
    spec, metadata = spec_of(obj), obj["metadata"]
    retention = spec.get("retention") or {}
    return AppSettings(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        environment=spec.get("environment", "dev"),
        resource_uid=uid_of(obj),
        url=endpoint,
        signing_keys=keys or (),
        step_timeout=duration(spec["callback"].get("timeout"), default=timedelta(seconds=30)),
        max_in_flight=int(spec["callback"].get("maxInFlight", 200)),
        retention_completed=duration(retention.get("completed"), default=timedelta(days=30)),
        retention_failed=duration(retention.get("failed"), default=timedelta(days=90)),
    )


async def _make_secret(context: Context, obj: Json, app: App, settings: AppSettings) -> App:
    """Give the app a key of its own in a Secret. Somebody may be quicker: then theirs counts, on the next pass."""
    if not context.world.keeps_secrets:
        return app
    key = new_signing_key()
    app = await context.journal.definitions.put_app(replace(settings, signing_keys=(key,)))
    made = await context.world.create_secret(
        settings.namespace, secret_name(obj), {SIGNING_KEY: key, APP_ID_KEY: app.id}, owner=obj
    )
    if not made:
        keys = await _keys(context, obj)
        if keys is not None:
            app = await context.journal.definitions.put_app(replace(settings, signing_keys=keys))
    return app


async def _probe(context: Context, obj: Json, app: App, endpoint: str) -> Probed:
    """The last probe, or a new one when it is due, asked for, or about another address."""
    uid, poke, moment = uid_of(obj), annotation(obj, POKE_ANNOTATION), context.clock.monotonic()
    last = context.probes.get(uid)
    if last is not None and moment < last.due and (last.url, last.poke) == (endpoint, poke):
        return last
    sent = await context.journal.definitions.database_time()
    found = await probe(context.http, url=endpoint, app_id=app.id, signing_keys=app.signing_keys, clock=context.clock)
    if found.said_at is not None:
        received = await context.journal.definitions.database_time()
        found = _with_right_clock(found, endpoint, seconds=skew(found.said_at, sent=sent, received=received))
    failures = await context.journal.definitions.record_probe(app.id, error=found.error)
    pause = PROBE_EVERY_SECONDS if not failures else RETRY_PROBE_SECONDS[min(failures, 3) - 1]
    probed = Probed(
        probe=found,
        url=endpoint,
        poke=poke,
        failures=failures,
        due=context.clock.monotonic() + pause,
        synced=last.synced if last is not None and last.url == endpoint else None,
    )
    context.probes[uid] = probed
    return probed


def _with_right_clock(found: Probe, endpoint: str, *, seconds: float) -> Probe:
    """The probe, failed when the app's clock is further off than calls allow: workers don't call it then."""
    if not is_off(seconds):
        return found
    return replace(found, error=f"{endpoint} answers, but {complaint(seconds)}", reason="ClockSkewed")


async def _register(context: Context, obj: Json, app: App, probed: Probed) -> Fact:
    """Put what the app says it serves in force, and keep Function objects for it."""
    if spec_of(obj).get("discovery", "Auto") != "Auto":
        return true(Type.REGISTERED, "Registered", "discovery is Manual: only manifests declare its functions")
    serving = probed.probe.serving
    if probed.probe.refusal is not None:
        return false(
            Type.REGISTERED, "DiscoveryRefused", f"the app answers, but {probed.probe.refusal}", permanent=True
        )
    if serving is not None and serving.body != probed.synced:
        served = Served(
            protocol=serving.sync.protocol,
            checkpointing="checkpoint" in serving.sync.capabilities,
            shared_calls="sharedCalls" in serving.sync.capabilities,
            sdk=serving.sync.sdk,
        )
        try:
            await context.journal.definitions.sync(app.id, serving.declarations, served=served)
        except StepwellError as error:
            if error.retryable:
                raise
            return false(
                Type.REGISTERED, "DiscoveryRefused", f"what the app serves is refused: {error}", permanent=True
            )
        probed.synced = serving.body
        context.world.store.changed(context.world.store.dependents(key_of(obj)))
    if context.world.discovers:
        await publish(context, obj, app)
    return true(Type.REGISTERED, "Registered")


def _reachable(probed: Probed, endpoint: str) -> Fact:
    found: Probe = probed.probe
    if found.error is None:
        return true(Type.ENDPOINT_REACHABLE, "Reachable", f"{endpoint} answers")
    if probed.failures < FAILED_PROBES_THAT_COUNT:
        return unknown(Type.ENDPOINT_REACHABLE, found.reason, found.error, counts=False)
    return false(Type.ENDPOINT_REACHABLE, found.reason, found.error)


def _rest(context: Context, probed: Probed) -> float:
    return max(0.1, probed.due - context.clock.monotonic())


async def _fields(context: Context, obj: Json, app: App, endpoint: str) -> Json:
    current = await context.journal.definitions.get_app(app.id)
    declared = [d for d in await context.journal.definitions.list_definitions(app.id) if not d.retired]
    sdk = {k: str(v)[:64] for k, v in current.sdk.items() if k in ("name", "version", "language") and v is not None}
    reference = spec_of(obj).get("signingKeySecretRef")
    fields: Json = {
        "appId": app.id,
        "endpoint": endpoint,
        "counts": {
            "functions": sum(d.kind == "function" for d in declared),
            "workflows": sum(d.kind == "workflow" for d in declared),
        },
    }
    if context.world.keeps_secrets or reference:
        fields["signingKeySecret"] = reference["name"] if reference else secret_name(obj)
    if sdk:
        fields["sdk"] = sdk
    if context.gateway_url:
        fields["address"] = {"url": f"{context.gateway_url.rstrip('/')}/e"}
    return fields
