"""Every knob of the gateway, frozen, read from MNEME_* once at start. Refuses contradictions; knows no adapter."""

import ipaddress
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.errors import SettingsRefused

LOCAL_KEY = "mneme-local"
"""The key of the embedded default: one tenant, one user, accepted on loopback only."""

_SECRET = 32
_SCHEMES = ("http://", "https://", "dns+http://", "dns+https://")


class Settings(BaseSettings):
    """What an operator may choose. Durations are seconds, sizes are bytes, budgets are estimated tokens."""

    model_config = SettingsConfigDict(env_prefix="MNEME_", frozen=True, extra="forbid", allow_inf_nan=False)

    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback needs a key.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 lets the system choose.")
    data: Path = Field(Path("mneme-data"), description="Directory of the embedded stores.")
    redis_url: SecretStr = Field(
        SecretStr(""), description="redis:// or rediss:// URL of journal and sessions; empty keeps them in MNEME_DATA."
    )
    qdrant_url: str = Field("", description="URL of the Qdrant that holds memories; empty keeps them in MNEME_DATA.")
    qdrant_key: SecretStr = Field(SecretStr(""), description="API key of that Qdrant, if it wants one.")
    qdrant_grpc: bool = Field(True, description="Speak gRPC to Qdrant, which is quicker; else REST.")
    qdrant_grpc_port: int = Field(6334, ge=1, le=65535, description="Port of Qdrant's gRPC.")
    qdrant_timeout: int = Field(5, ge=1, description="For one call to Qdrant.")
    qdrant_collection: str = Field("mneme", min_length=1, description="Collection, or alias, that holds memories.")
    qdrant_replicas: int = Field(1, ge=1, description="Copies of a new collection's shards, in a Qdrant cluster.")
    qdrant_written: int = Field(1, ge=1, description="Copies that must have a write before it is done.")
    qdrant_tenant_shards: bool = Field(False, description="Let large tenants have shards of their own, in a cluster.")
    secret: SecretStr = Field(
        SecretStr(""), description="At least 32 characters that salts and certificates come from, the same everywhere."
    )
    upstream: str = Field(
        "",
        description="Base URL of an OpenAI-compatible server, or of replicas, with commas; empty: the embedded reader.",
    )
    upstream_key: SecretStr = Field(SecretStr(""), description="Bearer key that the upstream wants, if any.")
    workers: SecretStr = Field(
        SecretStr(""), description="JSON: names that callers may use as a model, and the worker, model and KV policy."
    )
    affinity_header: str = Field(
        "",
        pattern=r"^[A-Za-z0-9-]*$",
        description="Header that tells the upstream, by a digest, which conversation it is; for a router behind us.",
    )
    warm: bool = Field(
        False, description="Have the worker compute prompts ahead that compaction, or what is pinned, begins anew."
    )
    keys: SecretStr = Field(
        SecretStr(""),
        description="Comma-separated key:tenant or key:tenant:single-user. Empty: one local single-user key.",
    )
    admin_key: SecretStr = Field(SecretStr(""), description="Key of /admin. Empty: /admin answers on loopback only.")
    policy: str = Field("verbatim", description="Memory policy of requests that name none.")
    memory_tokens: int = Field(1200, ge=0, description="At most this much recalled text per turn.")
    context_tokens: int = Field(
        0, ge=0, description="History beyond this is compacted. 0: what the upstream's /models says; unknown: never."
    )
    recall_deadline: float = Field(0.05, gt=0, description="Recall that takes longer is dropped; the answer goes on.")
    retain_deadline: float = Field(2.0, gt=0, description="The longest the end of an answer waits for the journal.")
    durability: Literal["process", "power"] = Field(
        "process", description="What an acknowledged turn survives: kill -9 (process) or also power loss (power)."
    )
    redact: bool = Field(True, description="Replace secrets before anything is stored.")
    cache_salt: Literal["tenant", "user", "none"] = Field(
        "tenant", description="Whose prompts may share the worker's prefix cache, when memory acts."
    )
    embedder: str = Field("minilm", description="What turns text into vectors.")
    embedder_url: str = Field("", description="Base URL for MNEME_EMBEDDER=http.")
    embedder_model: str = Field("", description="Model name for MNEME_EMBEDDER=http.")
    embedder_key: SecretStr = Field(SecretStr(""), description="Bearer key for MNEME_EMBEDDER=http.")
    next_embedder: str = Field("", description="A second embedder, whose index is written too: memories move to it.")
    next_embedder_url: str = Field("", description="Base URL for MNEME_NEXT_EMBEDDER=http.")
    next_embedder_model: str = Field("", description="Model name for MNEME_NEXT_EMBEDDER=http.")
    next_embedder_key: SecretStr = Field(SecretStr(""), description="Bearer key for MNEME_NEXT_EMBEDDER=http.")
    reflect_model: str = Field("", description="Model that reflection asks. Empty: none; policies go by their rules.")
    reflect_url: str = Field("", description="Base URL of its server. Empty: MNEME_UPSTREAM, the first of several.")
    reflect_key: SecretStr = Field(SecretStr(""), description="Bearer key that MNEME_REFLECT_URL wants, if any.")
    reflect_turns: int = Field(8, ge=1, description="A user's turns that are thought about at once, without waiting.")
    reflect_idle: float = Field(60.0, ge=0, description="Silence of a user after which fewer are thought about, too.")
    reflect_calls: int = Field(0, ge=0, description="Calls that a tenant's reflection may make a day. 0: any number.")
    reflect_tokens: int = Field(0, ge=0, description="Tokens that a tenant's reflection may take a day. 0: any number.")
    reflect_priority: int = Field(0, ge=0, description="Of its requests; vLLM serves smaller ones first. 0: untold.")
    vision_model: str = Field("", description="Model that looks at pictures for captions. Empty: none is looked at.")
    vision_url: str = Field("", description="Base URL of its server. Empty: MNEME_UPSTREAM, the first of several.")
    vision_key: SecretStr = Field(SecretStr(""), description="Bearer key that MNEME_VISION_URL wants, if any.")
    connect_timeout: float = Field(5.0, gt=0, description="To connect to the upstream.")
    first_byte_timeout: float = Field(600.0, gt=0, description="From the request's end to the answer's first byte.")
    idle_timeout: float = Field(300.0, gt=0, description="Between two pieces of an answer. There is no total timeout.")
    body_timeout: float = Field(30.0, gt=0, description="Between two pieces of a request's body.")
    body_limit: int = Field(32 << 20, gt=0, description="A larger chat body passes through without memory.")
    drain_seconds: float = Field(30.0, ge=0, description="On SIGTERM, how long running answers may take to end.")
    trace_limit: int = Field(10_000, ge=0, description="Traces kept per tenant.")
    log: Literal["text", "json"] = Field("text", description="How log lines are written.")
    access_log: bool = Field(False, description="Log a line per request, when it ends.")
    otlp_endpoint: str = Field("", description="Base URL of an OpenTelemetry collector for spans; empty: no spans.")
    otlp_content: bool = Field(False, description="Let spans hold what was said and what is remembered.")

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if not (self.keys.get_secret_value() or self.admin_key.get_secret_value() or self.on_loopback):
            raise ValueError(
                f"MNEME_HOST={self.host} is not loopback: set MNEME_KEYS, or MNEME_ADMIN_KEY to issue keys with, "
                "before anyone else can reach it"
            )
        if 0 < len(self.secret.get_secret_value()) < _SECRET:
            raise ValueError(f"MNEME_SECRET is shorter than {_SECRET} characters")
        if self.redis_url.get_secret_value() and not self.secret.get_secret_value():
            raise ValueError(
                "MNEME_REDIS_URL is for several processes that share what they remember: set MNEME_SECRET too"
            )
        if self.qdrant_written > self.qdrant_replicas:
            raise ValueError("MNEME_QDRANT_WRITTEN asks for more copies than MNEME_QDRANT_REPLICAS makes")
        if not all(url.strip().startswith(_SCHEMES) for url in self.upstream.split(",") if self.upstream):
            raise ValueError(f"MNEME_UPSTREAM={self.upstream} must start with http:// or https://")
        if self.otlp_endpoint and not self.otlp_endpoint.startswith(("http://", "https://")):
            raise ValueError("MNEME_OTLP_ENDPOINT must start with http:// or https://")
        if self.otlp_content and not self.otlp_endpoint:
            raise ValueError("MNEME_OTLP_CONTENT needs MNEME_OTLP_ENDPOINT")
        return self

    @model_validator(mode="after")
    def _refuse_embedders(self) -> Self:
        if self.embedder == "http" and not (self.embedder_url and self.embedder_model):
            raise ValueError("MNEME_EMBEDDER=http needs MNEME_EMBEDDER_URL and MNEME_EMBEDDER_MODEL")
        if self.next_embedder == "http" and not (self.next_embedder_url and self.next_embedder_model):
            raise ValueError("MNEME_NEXT_EMBEDDER=http needs MNEME_NEXT_EMBEDDER_URL and MNEME_NEXT_EMBEDDER_MODEL")
        if self.next_embedder == self.embedder and (
            self.embedder != "http" or self.next_embedder_model == self.embedder_model
        ):
            raise ValueError("MNEME_NEXT_EMBEDDER is the same as MNEME_EMBEDDER: their vectors are the same")
        if not self.next_embedder and (self.next_embedder_url or self.next_embedder_model):
            raise ValueError("MNEME_NEXT_EMBEDDER_URL and MNEME_NEXT_EMBEDDER_MODEL need MNEME_NEXT_EMBEDDER")
        return self

    @model_validator(mode="after")
    def _refuse_reflection(self) -> Self:
        if self.reflect_url and not self.reflect_url.startswith(("http://", "https://")):
            raise ValueError("MNEME_REFLECT_URL must start with http:// or https://")
        if (self.reflect_url or self.reflect_key.get_secret_value()) and not self.reflect_model:
            raise ValueError("MNEME_REFLECT_URL and MNEME_REFLECT_KEY need MNEME_REFLECT_MODEL")
        if self.reflect_key.get_secret_value() and not self.reflect_url:
            raise ValueError("MNEME_REFLECT_KEY is for MNEME_REFLECT_URL; MNEME_UPSTREAM has a key of its own")
        if self.reflect_model and not (self.reflect_url or self.upstream):
            raise ValueError("MNEME_REFLECT_MODEL needs MNEME_REFLECT_URL or MNEME_UPSTREAM: the reader cannot think")
        return self

    @model_validator(mode="after")
    def _refuse_vision(self) -> Self:
        if self.vision_url and not self.vision_url.startswith(("http://", "https://")):
            raise ValueError("MNEME_VISION_URL must start with http:// or https://")
        if (self.vision_url or self.vision_key.get_secret_value()) and not self.vision_model:
            raise ValueError("MNEME_VISION_URL and MNEME_VISION_KEY need MNEME_VISION_MODEL")
        if self.vision_key.get_secret_value() and not self.vision_url:
            raise ValueError("MNEME_VISION_KEY is for MNEME_VISION_URL; MNEME_UPSTREAM has a key of its own")
        if self.vision_model and not (self.vision_url or self.upstream):
            raise ValueError("MNEME_VISION_MODEL needs MNEME_VISION_URL or MNEME_UPSTREAM: the reader cannot see")
        return self

    @property
    def shared(self) -> bool:
        """Whether everything that is remembered lies where other processes can reach it too."""
        return bool(self.redis_url.get_secret_value() and self.qdrant_url)

    @property
    def local_only(self) -> bool:
        """Whether there is the local key, which everybody knows."""
        return self.on_loopback and not self.keys.get_secret_value()

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the gateway."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_settings() -> Settings:
    """Settings from the environment; SettingsRefused names every knob that is wrong."""
    try:
        return Settings()  # type: ignore[call-arg]  # every field has a default; the environment fills them
    except ValidationError as refused:
        lines = [
            f"{'MNEME_' + str(problem['loc'][0]).upper() if problem['loc'] else 'settings'}: {problem['msg']}"
            for problem in refused.errors(include_input=False, include_url=False)
        ]
        raise SettingsRefused("; ".join(lines)) from None
