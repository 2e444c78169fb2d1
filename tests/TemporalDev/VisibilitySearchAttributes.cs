using Google.Protobuf;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Visibility;
using Temporalio.Api.Common.V1;

namespace SnapshotFlow.Tests.TemporalDev;

public sealed class VisibilitySearchAttributes : IAsyncLifetime
{
    private readonly MemoryStore store = new(retain: true);
    private readonly CommitQueue commits;
    private readonly SearchAttributeRegistry registry;

    public VisibilitySearchAttributes()
    {
        commits = new CommitQueue(store, error => throw error);
        registry = new SearchAttributeRegistry(commits);
    }

    public async ValueTask InitializeAsync() => await registry.RegisterAsync("ns", new Dictionary<string, AttributeKind>
    {
        ["K"] = AttributeKind.Keyword,
        ["I"] = AttributeKind.Int,
        ["L"] = AttributeKind.KeywordList,
        ["D"] = AttributeKind.Datetime,
    });

    public ValueTask DisposeAsync() => commits.DisposeAsync();

    [Fact]
    public void An_unregistered_attribute_is_refused_by_name() => Assert.Equal(
        "Namespace ns has no mapping defined for search attribute Colour",
        Assert.Throws<SearchAttributeException>(() => registry.Of("ns").Check(Set(("Colour", "\"red\"")))).Message);

    [Theory]
    [InlineData("WorkflowId")]
    [InlineData("ExecutionStatus")]
    [InlineData("StartTime")]
    public void What_follows_from_the_run_cannot_be_set(string name) =>
        Assert.Contains("can't be set", Assert.Throws<SearchAttributeException>(() => registry.Of("ns").Check(Set((name, "\"x\"")))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("BuildIds", "[\"a\"]")]
    [InlineData("TemporalChangeVersion", "[\"a-1\"]")]
    [InlineData("TemporalScheduledById", "\"s\"")]
    [InlineData("TemporalScheduledStartTime", "\"2026-01-01T00:00:00Z\"")]
    public void Predefined_attributes_need_no_registration(string name, string json) =>
        Assert.Equal(json, registry.Of("unheard-of").Check(Set((name, json))).IndexedFields[name].Data.ToStringUtf8());

    [Theory]
    [InlineData("I", "\"seven\"")]
    [InlineData("I", "1.5")]
    [InlineData("K", "5")]
    [InlineData("D", "\"noon\"")]
    [InlineData("L", "[1]")]
    [InlineData("K", "{")]
    public void A_value_of_another_type_is_refused(string name, string json) =>
        Assert.Contains($"search attribute {name}", Assert.Throws<SearchAttributeException>(() => registry.Of("ns").Check(Set((name, json)))).Message, StringComparison.Ordinal);

    [Fact]
    public void A_payload_without_type_gets_the_registered_one_and_otherwise_stays_as_it_is()
    {
        var given = Set(("I", "7"), ("K", "\"x\""));
        given.IndexedFields["K"].Metadata["type"] = ByteString.CopyFromUtf8("Keyword");

        var kept = registry.Of("ns").Check(given);

        Assert.Equal("Int", kept.IndexedFields["I"].Metadata["type"].ToStringUtf8());
        Assert.Equal("7", kept.IndexedFields["I"].Data.ToStringUtf8());
        Assert.Same(given.IndexedFields["K"], kept.IndexedFields["K"]);
        Assert.False(given.IndexedFields["I"].Metadata.ContainsKey("type"));
    }

    [Fact]
    public void A_payload_that_claims_another_type_gets_the_registered_one()
    {
        var given = Set(("K", "\"noon\""));
        given.IndexedFields["K"].Metadata["type"] = ByteString.CopyFromUtf8("Datetime");
        Assert.Equal("Keyword", registry.Of("ns").Check(given).IndexedFields["K"].Metadata["type"].ToStringUtf8());
    }

    [Fact]
    public async Task Too_large_values_are_refused()
    {
        Assert.Throws<SearchAttributeException>(() => registry.Of("ns").Check(Set(("K", $"\"{new string('x', 3000)}\""))));
        await registry.RegisterAsync("ns", Enumerable.Range(0, 30).Select(i => KeyValuePair.Create($"K{i}", AttributeKind.Keyword)));
        Assert.Throws<SearchAttributeException>(() =>
            registry.Of("ns").Check(Set([.. Enumerable.Range(0, 30).Select(i => ($"K{i}", $"\"{new string('x', 1900)}\""))])));
    }

    [Fact]
    public void An_upsert_replaces_key_by_key_and_null_or_an_empty_list_removes()
    {
        var existing = Set(("K", "\"old\""), ("I", "1"), ("L", "[\"a\"]"), ("D", "\"2026-01-01T00:00:00Z\""));
        var upsert = Set(("K", "\"new\""), ("I", "null"), ("L", "[]"));
        upsert.IndexedFields["D"] = new Payload { Metadata = { ["encoding"] = ByteString.CopyFromUtf8("binary/null") } };

        var merged = NamespaceAttributes.Merge(existing, registry.Of("ns").Check(upsert));

        Assert.Equal("\"new\"", Assert.Single(merged.IndexedFields).Value.Data.ToStringUtf8());
        Assert.Equal(4, existing.IndexedFields.Count);
    }

    [Fact]
    public async Task Registering_a_taken_name_registers_none()
    {
        var both = new Dictionary<string, AttributeKind> { ["New"] = AttributeKind.Bool, ["K"] = AttributeKind.Keyword };
        await Assert.ThrowsAsync<ArgumentException>(() => registry.RegisterAsync("ns", both));
        await Assert.ThrowsAsync<ArgumentException>(() => registry.RegisterAsync("ns", [KeyValuePair.Create("BuildIds", AttributeKind.Keyword)]));
        Assert.Null(registry.Of("ns").KindOf("New"));
    }

    [Fact]
    public async Task Removing_an_unknown_name_removes_none()
    {
        await Assert.ThrowsAsync<KeyNotFoundException>(() => registry.RemoveAsync("ns", ["K", "Colour"]));
        Assert.Equal(AttributeKind.Keyword, registry.Of("ns").KindOf("K"));
        await registry.RemoveAsync("ns", ["K"]);
        Assert.Null(registry.Of("ns").KindOf("K"));
    }

    [Fact]
    public async Task A_namespace_survives_being_stored()
    {
        var loaded = new SearchAttributeRegistry(commits);
        loaded.Load(Assert.Single((await store.LoadAsync(TestContext.Current.CancellationToken)).Blobs));
        Assert.Equal(registry.Of("ns").Custom, loaded.Of("ns").Custom);
    }

    private static SearchAttributes Set(params (string Name, string Json)[] values)
    {
        var set = new SearchAttributes();
        foreach (var (name, json) in values)
        {
            set.IndexedFields[name] = new Payload
            {
                Data = ByteString.CopyFromUtf8(json),
                Metadata = { ["encoding"] = ByteString.CopyFromUtf8("json/plain") },
            };
        }

        return set;
    }
}
