"""
What a user may write. The CRD's schema is generated from these types (`make generate`).

Whatever can be judged from the object alone is refused by the API server: by the schema's types,
patterns and limits, and by the CEL rules that stand beside the types here.
"""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema

from modeldeploy_operator.resource.model_spec import (
    FOREIGN_RULES,
    MODEL_RULES,
    Cache,
    Platform,
    Signatures,
    Version,
)
from modeldeploy_operator.resource.optional.gateway_spec import (
    GATEWAY_RULES,
    WITHOUT_ROUTERS,
    Gateway,
    Provider,
)
from modeldeploy_operator.resource.optional.scaling_spec import CPU_RULE, Autoscaling
from modeldeploy_operator.resource.parts import (
    STORAGE_RULE,
    STORAGE_URIS,
    Duration,
    Part,
    Quantities,
    rule_of,
)
from modeldeploy_operator.resource.rollout_spec import Rollout
from modeldeploy_operator.resource.strategy_spec import IN_PLACE_RULES
from modeldeploy_operator.resource.traffic_spec import (
    ALSO_RULES,
    MOST_ALSO,
    MOST_KEPT,
    AlsoServed,
    Auth,
    MatchRule,
    Sticky,
    Tls,
)

_HIDDEN = rule_of(
    "!self.matches('^file:///+(models|tmp)(/|$)')",
    "pods mount folders of their own at /models and /tmp, which hide those of the image",
)


class Model(Part):
    """
    Which model is served, and from where.
    """

    model_config = ConfigDict(json_schema_extra=MODEL_RULES)

    name: str | None = Field(
        None,
        description="The model's name in /v1/models/{name}; metadata.name if it is left out. "
        "Immutable.",
        pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
        max_length=63,
    )
    uri: str = Field(
        description=f"The base path, which holds a folder for each version: {STORAGE_URIS}. The "
        "last is a folder of the image of the runtime that the operator was given, for models "
        "that are built into it.",
        max_length=1024,
        json_schema_extra={"x-kubernetes-validations": [STORAGE_RULE, _HIDDEN]},
    )
    version: Version = Field(
        description="The version's folder, or latest: new complete versions are found and rolled "
        "out by themselves. A change of it is rolled out."
    )
    digest: str | None = Field(
        None,
        description="What the version must contain; another digest fails as ContentChanged.",
        pattern=r"^sha256:[0-9a-f]{64}$",
    )
    platform: Platform | None = Field(
        None,
        description="The kind of model that every version must be; found out from the files if it "
        "is left out. Files of another kind fail before any traffic.",
    )
    poll_interval: Duration = Field(
        "1m", description="How often latest looks for new versions in the storage."
    )
    settle_period: Duration = Field(
        "10s",
        description="How long the files of a version without _SUCCESS or a manifest must stay the "
        "same before latest takes it.",
    )
    secret_name: str | None = Field(
        None,
        description="A Secret of this namespace whose keys are named as the storage's SDK names "
        "its environment variables, such as AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS (the "
        "key itself) or AZURE_STORAGE_CONNECTION_STRING. Only the container that fetches the "
        "model and the watcher of latest get it.",
        min_length=1,
        max_length=253,
    )
    cache: Cache | None = Field(
        None,
        description="A volume that the pods share, into which each revision is fetched once.",
    )
    keep_versions: int = Field(
        0,
        ge=0,
        le=MOST_KEPT,
        description="So many promoted predecessors stay served with their pods, by version, "
        "without any request that names none.",
    )
    # A list of which only the operator knows that its version is a key: a key that may be a number
    # or a string is no key to the API server.
    also_serve: list[AlsoServed] = Field(
        default_factory=list,
        description="Further versions that are served for good.",
        max_length=MOST_ALSO,
        json_schema_extra={
            "x-kubernetes-list-type": "atomic",
            "x-kubernetes-validations": ALSO_RULES,
        },
    )
    signatures: Signatures = Field(
        default_factory=Signatures,
        description="What is asked of a version's signatures before it gets any traffic.",
    )


class Resources(Part):
    """
    What each pod asks for and may use, as in a Pod.
    """

    requests: Quantities = Field(default_factory=dict, description="As in a Pod.")
    limits: Quantities = Field(default_factory=dict, description="As in a Pod.")


_RESERVED_ARGS = (
    "port|rest_api_port|grpc_socket_path|model_name|model_base_path|model_config_file|"
    "control_port|control_host|control_token_file|"
    "ssl_port|ssl_config_file|rest_api_ssl_port|rest_api_ssl_config_file"
)

Arg = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 256,
            "pattern": "^--[a-z0-9_]+(=.*)?$",
            "x-kubernetes-validations": [
                rule_of(
                    f"!self.matches('^--({_RESERVED_ARGS})(=|$)')",
                    "this flag is set by the operator and may not be given",
                )
            ],
        }
    ),
]


class Server(Part):
    """
    The model server in each serving pod.
    """

    image: str | None = Field(
        None,
        description="An image that takes TensorFlow Serving's flags and answers its status API; "
        "the operator's own runtime if it is left out.",
        min_length=1,
        max_length=512,
        pattern=r"^\S+$",
    )
    args: list[Arg] = Field(
        default_factory=list,
        description="Further flags of the server, such as --rest_api_timeout_in_ms=5000.",
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class Router(Part):
    """
    The router pods that split the traffic.
    """

    replicas: int = Field(2, ge=1, le=10, description="How many router pods run.")
    resources: Resources = Field(
        default_factory=Resources, description="What each router pod asks for and may use."
    )


class Traffic(Part):
    """
    How clients reach the model.
    """

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": GATEWAY_RULES})

    provider: Provider = Field(
        "Router",
        description="Who splits the traffic: Router, pods of our own, or Gateway, by weights on "
        "an HTTPRoute and a GRPCRoute.",
    )
    router: Router = Field(
        default_factory=Router, description="The router pods; none run where a Gateway splits."
    )
    gateway: Gateway | None = Field(
        None, description="The Gateways in front of the model; none if it is left out."
    )
    match: list[MatchRule] = Field(
        default_factory=list,
        description="Who answers requests with certain headers. The first rule that holds counts.",
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    sticky: Sticky | None = Field(
        None, description="By what a client stays with the version that answers it."
    )
    tls: Tls | None = Field(
        None, description="How connections are encrypted; not at all if it is left out."
    )
    auth: Auth | None = Field(None, description="Who may send requests; everybody if left out.")

    @property
    def routed(self) -> bool:
        """
        Whether routers of our own split the traffic.
        """
        return self.provider == "Router"


class ModelDeploymentSpec(Part):
    """
    What is wanted.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                *(CPU_RULE, *FOREIGN_RULES),
                *WITHOUT_ROUTERS,
                *IN_PLACE_RULES,
            ]
        }
    )

    model: Model = Field(description="Which model is served, and from where.")
    replicas: int = Field(
        1,
        ge=0,
        le=1000,
        description="The pods that carry all the traffic; left out where an autoscaler keeps it.",
    )
    autoscaling: Autoscaling | None = Field(
        None, description="Who keeps replicas, and between which limits; nobody if left out."
    )
    resources: Resources = Field(
        default_factory=Resources, description="What each serving pod asks for and may use."
    )
    server: Server = Field(default_factory=Server, description="The model server in each pod.")
    rollout: Rollout = Field(default_factory=Rollout, description="How a new revision takes over.")
    traffic: Traffic = Field(default_factory=Traffic, description="How clients reach the model.")

    def model_name(self, object_name: str) -> str:
        """
        Return the name that the model is served under.
        """
        return self.model.name or object_name


ROOT_RULES: list[dict[str, Any]] = [
    rule_of(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && "
        "size(self.metadata.name) <= 40",
        "metadata.name must start with a letter, hold only lower case letters, digits and dashes, "
        "and have at most 40 characters",
    ),
    rule_of(
        "(has(self.spec.model.name) ? self.spec.model.name : self.metadata.name) == "
        "(has(oldSelf.spec.model.name) ? oldSelf.spec.model.name : self.metadata.name)",
        "spec.model.name is immutable: clients and revisions depend on it",
        ".spec.model.name",
    ),
]
"""Rules that need the whole object; the second one is a transition rule."""
