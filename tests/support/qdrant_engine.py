"""One collection of the stand-in server: Qdrant's own engine in this process, asked in the words of a request that came
over the wire. Knows only the requests that Mneme sends; anything else fails loudly."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import qdrant_edge as edge
from qdrant_client import grpc, models
from qdrant_client.conversions.conversion import GrpcToRest


class Held:
    """Below `path`: the request that made it, those that made its indexes, and the engine's files."""

    def __init__(self, path: Path, made: grpc.CreateCollection) -> None:
        self.made = made
        self.indexes: dict[str, grpc.CreateFieldIndexCollection] = {}
        self.shard_keys: set[str] = set()
        self._path = path
        if (path / "shard").exists():
            self._shard = edge.EdgeShard.load(str(path / "shard"))
        else:
            (path / "shard").mkdir(parents=True)
            (path / "made").write_bytes(made.SerializeToString())
            self._shard = edge.EdgeShard.create(str(path / "shard"), _config(made))
        for file in path.glob("index-*"):
            found = grpc.CreateFieldIndexCollection.FromString(file.read_bytes())
            self.indexes[found.field_name] = found
        self.shard_keys |= {file.name.removeprefix("key-") for file in path.glob("key-*")}

    @property
    def custom(self) -> bool:
        """Whether writes must say which shard."""
        return bool(self.made.sharding_method == grpc.ShardingMethod.Custom)

    def index(self, request: grpc.CreateFieldIndexCollection) -> None:
        """Index a field."""
        self._shard.update(edge.UpdateOperation.create_field_index(request.field_name, _index(request)))
        (self._path / f"index-{request.field_name}").write_bytes(request.SerializeToString())
        self.indexes[request.field_name] = request

    def note(self, metadata: Mapping[str, grpc.Value]) -> None:
        """Merged into what was noted before."""
        for key, value in metadata.items():
            self.made.metadata[key].CopyFrom(value)
        (self._path / "made").write_bytes(self.made.SerializeToString())

    def add_key(self, key: str) -> None:
        """A shard of its own; here all are one."""
        (self._path / f"key-{key}").touch()
        self.shard_keys.add(key)

    def put(self, points: Sequence[grpc.PointStruct]) -> None:
        """Insert or replace."""
        made = [_point(GrpcToRest.convert_point_struct(point)) for point in points]
        self._shard.update(edge.UpdateOperation.upsert_points(made))

    def set_payload(self, change: grpc.PointsUpdateOperation.SetPayload) -> None:
        """Write fields of the points that the filter lets through; others stay."""
        payload = GrpcToRest.convert_payload(change.payload)
        only = _filter(change.points_selector.filter)
        self._shard.update(edge.UpdateOperation.set_payload_by_filter(only, payload))

    def delete(self, only: grpc.Filter) -> None:
        """Remove what the filter lets through."""
        self._shard.update(edge.UpdateOperation.delete_points_by_filter(_filter(only)))

    def query(self, requests: Sequence[grpc.QueryPoints]) -> list[list[Any]]:
        """Points with scores, best first, or in an order."""
        return self._shard.query_batch(edge.QueryBatchRequest([_request(request) for request in requests]))

    def scroll(self, request: grpc.ScrollPoints) -> tuple[list[Any], Any]:
        """A page, and where the next begins."""
        order = GrpcToRest.convert_order_by(request.order_by) if request.HasField("order_by") else None
        asked = edge.ScrollRequest(
            offset=GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None,
            limit=request.limit,
            filter=_filter(request.filter),
            with_payload=list(request.with_payload.include.fields) or False,
            order_by=None if order is None else _order(order),
        )
        found, after = self._shard.scroll(asked)
        return found, after

    def count(self, only: grpc.Filter) -> int:
        """Exactly."""
        return self._shard.count(edge.CountRequest(exact=True, filter=_filter(only)))

    def facet(self, request: grpc.FacetCounts) -> list[Any]:
        """Values and how often they occur."""
        only = _filter(request.filter) if request.HasField("filter") else None
        asked = edge.FacetRequest(request.key, limit=request.limit, exact=True, filter=only)
        return list(self._shard.facet(asked).hits)

    def close(self) -> None:
        """Close the engine's files."""
        self._shard.close()


def load(path: Path) -> Held:
    """The collection in `path` again."""
    return Held(path, grpc.CreateCollection.FromString((path / "made").read_bytes()))


def _config(made: grpc.CreateCollection) -> edge.EdgeConfig:
    dense = {
        name: edge.EdgeVectorParams(
            size=params.size,
            distance={grpc.Distance.Cosine: edge.Distance.Cosine}[params.distance],
            hnsw_config=edge.HnswIndexConfig(
                m=params.hnsw_config.m,
                payload_m=params.hnsw_config.payload_m,
                ef_construct=params.hnsw_config.ef_construct,
                full_scan_threshold=params.hnsw_config.full_scan_threshold,
            ),
        )
        for name, params in made.vectors_config.params_map.map.items()
    }
    sparse = {
        name: edge.EdgeSparseVectorParams(modifier={grpc.Modifier.Idf: edge.Modifier.Idf}[params.modifier])
        for name, params in made.sparse_vectors_config.map.items()
    }
    return edge.EdgeConfig(vectors=dense, sparse_vectors=sparse)


def _index(request: grpc.CreateFieldIndexCollection) -> Any:
    params = request.field_index_params
    match params.WhichOneof("index_params"):
        case "keyword_index_params":
            words = params.keyword_index_params
            return edge.KeywordIndexParams(is_tenant=words.is_tenant, enable_hnsw=words.enable_hnsw)
        case "integer_index_params":
            return edge.IntegerIndexParams(enable_hnsw=params.integer_index_params.enable_hnsw)
        case "float_index_params":
            return edge.FloatIndexParams(enable_hnsw=params.float_index_params.enable_hnsw)
    raise ValueError(f"An index of this kind is not known: {params}")


def _point(told: Any) -> edge.Point:
    return edge.Point(told.id, {name: _vector(vector) for name, vector in told.vector.items()}, told.payload)


def _vector(told: Any) -> Any:
    if isinstance(told, models.SparseVector):
        return edge.SparseVector(indices=told.indices, values=told.values)
    return told


def _request(told: grpc.QueryPoints) -> edge.QueryRequest:
    request = GrpcToRest.convert_query_points(told)
    asked: Any
    if isinstance(request.query, models.OrderByQuery):
        asked = _order(request.query.order_by)
    elif isinstance(request.query, models.NearestQuery):
        asked = edge.Query.Nearest(_vector(request.query.nearest), using=request.using)
    else:
        raise ValueError(f"A query of this kind is not known: {request.query}")
    rarity: Any = request.params.idf if request.params else None
    return edge.QueryRequest(
        limit=told.limit,
        query=asked,
        filter=_filter(told.filter),
        params=edge.SearchParams(idf=edge.IdfParams(_translated(rarity.corpus))) if rarity else None,
        with_payload=list(told.with_payload.include.fields) or False,
    )


def _order(told: Any) -> edge.OrderBy:
    down = told.direction == models.Direction.DESC
    return edge.OrderBy(key=told.key, direction=edge.Direction.Desc if down else edge.Direction.Asc)


def _filter(told: grpc.Filter) -> edge.Filter:
    return _translated(GrpcToRest.convert_filter(told))


def _translated(told: models.Filter) -> edge.Filter:
    if told.must_not or told.min_should:
        raise ValueError(f"A filter of this kind is not known: {told}")
    must, should = ([_condition(each) for each in part or ()] for part in (told.must, told.should))
    return edge.Filter(must=must, should=should or None)


def _condition(told: Any) -> Any:
    if isinstance(told, models.HasIdCondition):
        return edge.HasIdCondition({*told.has_id})
    if isinstance(told, models.Filter):
        return _translated(told)
    if isinstance(told, models.IsEmptyCondition):
        return edge.IsEmptyCondition(told.is_empty.key)
    if isinstance(told.match, models.MatchValue):
        return edge.FieldCondition(key=told.key, match=edge.MatchValue(told.match.value))
    if isinstance(told.range, models.Range):
        bounds = {name: value for name, value in told.range.model_dump().items() if value is not None}
        return edge.FieldCondition(key=told.key, range=edge.RangeFloat(**bounds))
    raise ValueError(f"A condition of this kind is not known: {told}")
