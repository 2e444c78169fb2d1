using System.Net;
using System.Text;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>What callers change of a volume: name, description, metadata; and what administrators do to its record.</summary>
public sealed class ChangingVolumes(ApiAlone alone) : IClassFixture<ApiAlone>
{
    private readonly ApiUnderTest api = alone.Api;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private string Volumes => $"/volume/v3/{api.Tokens.Project}/volumes";

    private string AdminVolumes => $"/volume/v3/{api.Tokens.AdminProject}/volumes";

    [Fact]
    public async Task A_volume_is_described_anew_and_nothing_else_of_it_can_be_said()
    {
        var volume = await VolumeAsync();
        var path = $"{Volumes}/{volume}";
        var answer = (await PutAsync(path, new { volume = new { name = " new ", description = "why", metadata = new { colour = "red" } } })).Json.GetProperty("volume");
        Assert.Equal(("new", "why", "red", "in-use", 10), (
            answer.GetProperty("name").GetString(), answer.GetProperty("description").GetString(), answer.GetProperty("metadata").GetProperty("colour").GetString(),
            answer.GetProperty("status").GetString(), answer.GetProperty("size").GetInt32()));
        Assert.NotNull(answer.GetProperty("updated_at").GetString());
        Assert.Equal(JsonSerializer.Serialize(answer), JsonSerializer.Serialize((await api.GetAsync(path, api.Tokens.Reader)).Json.GetProperty("volume")));

        // As the stock client says it: only what changes, under the older names; null takes it away. What is not said stays.
        var renamed = (await PutAsync(path, new { volume = new { display_name = (string?)null } })).Json.GetProperty("volume");
        Assert.Equal((JsonValueKind.Null, "why", "red"), (renamed.GetProperty("name").ValueKind, renamed.GetProperty("description").GetString(), renamed.GetProperty("metadata").GetProperty("colour").GetString()));
        Assert.Equal("{}", (await PutAsync(path, new { volume = new { metadata = new { } } })).Json.GetProperty("volume").GetProperty("metadata").GetRawText());

        (await PutAsync(path, new { volume = new { } })).IsFault(400, "badRequest", "Invalid input for field/attribute volume. Value: {}. {} does not have enough properties");
        (await PutAsync(path, new { })).IsFault(400, "badRequest", "Invalid input for field/attribute body. Value: {}. 'volume' is a required property");
        (await PutAsync(path, new { volume = new { size = 7 } })).IsFault(400, "badRequest", "Invalid input for field/attribute volume. Value: {'size': 7}. Additional properties are not allowed ('size' was unexpected)");
        (await PutAsync(path, new { volume = new { name = new string('n', 256) } })).IsFault(400, "badRequest");
        (await PutAsync(path, new { volume = new { name = 7 } })).IsFault(400, "badRequest", "Invalid input for field/attribute name. Value: 7. 7 is not of type 'string', 'null'");
        (await PutAsync(path, new { volume = new { metadata = (string?)null } })).IsFault(400, "badRequest", "Invalid input for field/attribute metadata. Value: None. None is not of type 'object'");
        (await PutAsync(path, new { volume = new { metadata = new { colour = 7 } } })).IsFault(400, "badRequest", "Invalid input for field/attribute colour. Value: 7. 7 is not of type 'string'");
        var missing = Guid.NewGuid();
        (await PutAsync($"{Volumes}/{missing}", new { volume = new { name = "x" } })).IsFault(404, "itemNotFound", $"Volume {missing} could not be found.");
        (await PutAsync(path, new { volume = new { name = "x" } }, api.Tokens.Reader)).IsFault(403, "forbidden", "Policy doesn't allow volume:update to be performed.");
    }

    [Fact]
    public async Task Metadata_is_merged_replaced_and_changed_key_by_key()
    {
        var volume = await VolumeAsync();
        var path = $"{Volumes}/{volume}/metadata";
        Assert.Equal("{\"metadata\":{}}", (await api.GetAsync(path, api.Tokens.Reader)).Text);
        Assert.Equal("{\"metadata\":{\"a\":\"1\",\"b\":\"2\"}}", (await api.PostAsync(path, api.Tokens.Member, new { metadata = new { a = "1", b = "2" } })).Text);
        Assert.Equal("3", (await api.PostAsync(path, api.Tokens.Member, new { metadata = new { b = "3" } })).Json.GetProperty("metadata").GetProperty("b").GetString());
        Assert.Equal("{\"metadata\":{\"c\":\"4\"}}", (await PutAsync(path, new { metadata = new { c = "4" } })).Text);
        Assert.Equal("{\"meta\":{\"c\":\"4\"}}", (await api.GetAsync(path + "/c", api.Tokens.Reader)).Text);
        Assert.Equal("{\"meta\":{\"d\":\"5\"}}", (await PutAsync(path + "/d", new { meta = new { d = "5" } })).Text);
        (await PutAsync(path + "/d", new { meta = new { e = "5" } })).IsFault(400, "badRequest", "Request body and URI mismatch");
        (await PutAsync(path + "/d", new { meta = new { d = "5", e = "6" } })).IsFault(400, "badRequest", "Request body contains too many items");
        (await PutAsync(path, new { metadata = new Dictionary<string, string> { [""] = "v" } })).IsFault(400, "badRequest");
        (await PutAsync(path, new { metadata = new { k = new string('v', 256) } })).IsFault(400, "badRequest");
        (await api.GetAsync(path + "/x", api.Tokens.Reader)).IsFault(404, "itemNotFound", $"Volume {volume} has no metadata with key x.");
        (await api.DeleteAsync(path + "/x", api.Tokens.Member)).IsFault(404, "itemNotFound", $"Volume {volume} has no metadata with key x.");
        var deleted = await api.DeleteAsync(path + "/c", api.Tokens.Member);
        Assert.Equal((HttpStatusCode.OK, ""), (deleted.Status, deleted.Text));
        Assert.Equal("{\"metadata\":{\"d\":\"5\"}}", (await api.GetAsync(path, api.Tokens.Reader)).Text);
        (await api.PostAsync(path, api.Tokens.Reader, new { metadata = new { } })).IsFault(403, "forbidden", "Policy doesn't allow volume:create_volume_metadata to be performed.");
        (await PutAsync(path, new { metadata = new { } }, api.Tokens.Reader)).IsFault(403, "forbidden", "Policy doesn't allow volume:update_volume_metadata to be performed.");
        (await api.DeleteAsync(path + "/d", api.Tokens.Reader)).IsFault(403, "forbidden", "Policy doesn't allow volume:delete_volume_metadata to be performed.");
    }

    [Fact]
    public async Task From_3_15_on_metadata_that_changed_since_it_was_read_is_412_and_stays()
    {
        var path = $"{Volumes}/{await VolumeAsync()}/metadata";
        await PutAsync(path, new { metadata = new { a = "1", b = "2" } });
        Assert.Null((await api.GetAsync(path, api.Tokens.Reader, Version("3.14"))).Header("ETag"));
        var tag = (await api.GetAsync(path, api.Tokens.Reader, Version("3.15"))).Header("ETag")!;
        Assert.Equal(HttpStatusCode.OK, (await PutAsync(path, new { metadata = new { a = "2" } }, null, Version("3.15"), ("If-Match", tag))).Status);
        (await PutAsync(path, new { metadata = new { a = "3" } }, null, Version("3.15"), ("If-Match", tag))).IsFault(412, "preconditionFailed");
        (await PutAsync(path + "/a", new { meta = new { a = "3" } }, null, Version("3.15"), ("If-Match", tag.Trim('"')))).IsFault(412, "preconditionFailed");
        Assert.Equal("{\"metadata\":{\"a\":\"2\"}}", (await api.GetAsync(path, api.Tokens.Reader)).Text);
        Assert.Equal(HttpStatusCode.OK, (await PutAsync(path, new { metadata = new { a = "3" } }, null, Version("3.14"), ("If-Match", tag))).Status);
        var now = (await api.GetAsync(path, api.Tokens.Reader, Version("3.15"))).Header("ETag")!;
        Assert.Equal(HttpStatusCode.OK, (await PutAsync(path + "/a", new { meta = new { a = "4" } }, null, Version("3.15"), ("If-Match", now.Trim('"')))).Status);
        Assert.Equal(HttpStatusCode.OK, (await PutAsync(path, new { metadata = new { } }, null, Version("3.15"), ("If-Match", "*"))).Status);
    }

    [Fact]
    public async Task Twenty_changes_of_metadata_at_once_are_all_there_afterwards()
    {
        var path = $"{Volumes}/{await VolumeAsync()}/metadata";
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => api.PostAsync(path, api.Tokens.Member, new { metadata = new Dictionary<string, string> { [$"k{i}"] = "v" } })));
        Assert.Equal(20, (await api.GetAsync(path, api.Tokens.Reader)).Json.GetProperty("metadata").EnumerateObject().Count());
    }

    [Fact]
    public async Task In_maintenance_a_volume_is_not_described_anew()
    {
        var volume = await VolumeAsync(v => v with { Status = "maintenance" });
        (await PutAsync($"{Volumes}/{volume}", new { volume = new { name = "x" } })).IsFault(400, "badRequest", "Invalid volume: The volume cannot be updated during maintenance.");
        (await ActAsync(volume, "os-set_bootable", new { bootable = true }, api.Tokens.Member)).IsFault(400, "badRequest", "Invalid volume: The volume cannot be updated during maintenance.");
        (await PutAsync($"{Volumes}/{volume}/metadata", new { metadata = new { a = "1" } })).IsFault(
            400, "badRequest", "Invalid volume: Updating volume metadata is not allowed for volumes in maintenance status.");
        await ActAsync(volume, "os-reset_status", new { status = "uploading" });
        (await api.DeleteAsync($"{Volumes}/{volume}/metadata/a", api.Tokens.Member)).IsFault(
            400, "badRequest", "Invalid volume: Deleting volume metadata is not allowed for volumes in uploading status.");
    }

    [Fact]
    public async Task A_status_is_reset_by_administrators_only_and_to_what_a_volume_can_be()
    {
        var volume = await VolumeAsync();
        (await ActAsync(volume, "os-reset_status", new { status = "error" }, api.Tokens.Member)).IsFault(
            403, "forbidden", "Policy doesn't allow volume_extension:volume_admin_actions:reset_status to be performed.");
        (await ActAsync(volume, "os-reset_status", new { status = "weird" })).IsFault(400, "badRequest");
        (await ActAsync(volume, "os-reset_status", new { status = "deleted" })).IsFault(400, "badRequest");
        (await ActAsync(volume, "os-reset_status", new { })).IsFault(400, "badRequest", "Must specify 'status' or 'migration_status' for update.");
        (await ActAsync(volume, "os-reset_status", new { attach_status = "detached" })).IsFault(
            400, "badRequest", "Invalid input for field/attribute attach_status. Value: detached. What a volume is attached to is registered with its server, by an administrator");
        Assert.Equal("in-use", await StatusAsync(volume));

        Assert.Equal(HttpStatusCode.Accepted, (await ActAsync(volume, "os-reset_status", new { status = "Error_Deleting", migration_status = "migrating" })).Status);
        var shown = (await api.GetAsync($"{AdminVolumes}/{volume}", api.Tokens.Admin)).Json.GetProperty("volume");
        Assert.Equal(("error_deleting", "migrating"), (shown.GetProperty("status").GetString(), shown.GetProperty("migration_status").GetString()));
        Assert.Equal(HttpStatusCode.Accepted, (await ActAsync(volume, "os-reset_status", new { migration_status = (string?)null })).Status);
        Assert.Equal("error_deleting", await StatusAsync(volume));
        Assert.Equal(JsonValueKind.Null, (await api.GetAsync($"{AdminVolumes}/{volume}", api.Tokens.Admin)).Json.GetProperty("volume").GetProperty("migration_status").ValueKind);
    }

    [Fact]
    public async Task A_volume_is_made_bootable_or_not_and_other_actions_are_refused_by_name()
    {
        var volume = await VolumeAsync();
        Assert.Equal(HttpStatusCode.OK, (await ActAsync(volume, "os-set_bootable", new { bootable = true }, api.Tokens.Member)).Status);
        Assert.Equal("true", (await api.GetAsync($"{Volumes}/{volume}", api.Tokens.Reader)).Json.GetProperty("volume").GetProperty("bootable").GetString());
        Assert.Equal(HttpStatusCode.OK, (await ActAsync(volume, "os-set_bootable", new { bootable = "false" }, api.Tokens.Member)).Status);
        Assert.Equal("false", (await api.GetAsync($"{Volumes}/{volume}", api.Tokens.Reader)).Json.GetProperty("volume").GetProperty("bootable").GetString());
        (await ActAsync(volume, "os-set_bootable", new { bootable = "perhaps" }, api.Tokens.Member)).IsFault(400, "badRequest");
        (await ActAsync(volume, "os-set_bootable", new { bootable = true }, api.Tokens.Reader)).IsFault(403, "forbidden", "Policy doesn't allow volume_extension:volume_actions:set_bootable to be performed.");
        (await ActAsync(volume, "os-extend", new { new_size = 20 }, api.Tokens.Member)).IsFault(400, "badRequest", "There is no such action: os-extend");
        (await ActAsync(volume, "os-force_delete", new { cascade = true })).IsFault(400, "badRequest");
        (await ActAsync(volume, "os-force_delete", null, api.Tokens.Member)).IsFault(403, "forbidden", "Policy doesn't allow volume_extension:volume_admin_actions:force_delete to be performed.");
        (await api.PostAsync($"{Volumes}/{volume}/action", api.Tokens.Member, new { })).IsFault(400, "badRequest", "Malformed request body");
    }

    private static (string, string) Version(string version) => ("OpenStack-API-Version", $"volume {version}");

    private async Task<VolumeId> VolumeAsync(Func<Volume, Volume>? change = null)
    {
        var server = Given.Server(api.Tokens.Project);
        var volume = Given.Volume(server.ProjectId);
        volume = change?.Invoke(volume) ?? volume;
        await api.Service<ServerStore>().RegisterAsync(Given.Registration(server, volume), Given.Now, Ct);
        return volume.Id;
    }

    private async Task<string?> StatusAsync(VolumeId volume) => (await api.GetAsync($"{Volumes}/{volume}", api.Tokens.Reader)).Json.GetProperty("volume").GetProperty("status").GetString();

    private Task<Answer> ActAsync(VolumeId volume, string action, object? body, string? token = null) =>
        api.PostAsync($"{(token is null ? AdminVolumes : Volumes)}/{volume}/action", token ?? api.Tokens.Admin, new Dictionary<string, object?> { [action] = body });

    private Task<Answer> PutAsync(string path, object body, string? token = null, params (string Name, string Value)[] headers) =>
        api.SendAsync(HttpMethod.Put, path, token ?? api.Tokens.Member, new StringContent(JsonSerializer.Serialize(body), Encoding.UTF8, "application/json"), headers);
}
