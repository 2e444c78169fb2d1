using System.Net;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>Single volume snapshots and volumes from them, from the request to the record, with everything behind the api.</summary>
public sealed class MakingASnapshot(Cloud cloud) : IClassFixture<Cloud>, IDisposable
{
    private readonly ApiUnderTest api = cloud.Api;
    private readonly FakeHosts hosts = cloud.Hosts;

    private string Snapshots => $"/volume/v3/{api.Tokens.Project}/snapshots";

    private string Volumes => $"/volume/v3/{api.Tokens.Project}/volumes";

    public void Dispose()
    {
        hosts.Hold?.TrySetResult();
        (hosts.Hold, hosts.Broken) = (null, null);
    }

    [Fact]
    public async Task A_snapshot_is_202_and_creating_then_available_and_the_answer_has_what_its_microversion_knows()
    {
        var volume = await VolumeAsync();
        var answer = await PostAsync(new { volume_id = volume.Id, name = " mine ", description = (string?)null, metadata = new Dictionary<string, string> { ["a/b"] = "c" } });
        Assert.Equal(HttpStatusCode.Accepted, answer.Status);
        var shown = answer.Json.GetProperty("snapshot");
        Assert.Equal(
            ["created_at", "description", "id", "metadata", "name", "size", "status", "updated_at", "volume_id"], shown.EnumerateObject().Select(m => m.Name).Order(StringComparer.Ordinal));
        Assert.Equal(("mine", "creating", 10, "c"), (
            shown.GetProperty("name").GetString(), shown.GetProperty("status").GetString(), shown.GetProperty("size").GetInt32(), shown.GetProperty("metadata").GetProperty("a/b").GetString()));

        var done = await WhenAsync(Id(shown), "available");
        Assert.Equal(("100%", api.Tokens.Project), (
            done.GetProperty("os-extended-snapshot-attributes:progress").GetString(), done.GetProperty("os-extended-snapshot-attributes:project_id").GetString()));
        Assert.True(hosts.Snapshots.ContainsKey(SnapshotId.Parse(Id(shown))));

        var newest = (await PostAsync(new { volume_id = volume.Id }, "3.71")).Json.GetProperty("snapshot");
        Assert.Equal((JsonValueKind.Null, api.Tokens.Member, true), (
            newest.GetProperty("group_snapshot_id").ValueKind, newest.GetProperty("user_id").GetString(), newest.GetProperty("consumes_quota").GetBoolean()));
    }

    [Fact]
    public async Task What_cannot_be_a_snapshot_is_400_with_the_member_and_the_reason()
    {
        var volume = await VolumeAsync();
        (await api.PostAsync(Snapshots, api.Tokens.Member, new { })).IsFault(400, "badRequest", "Invalid input for field/attribute body. Value: {}. 'snapshot' is a required property");
        (await PostAsync(new { name = "x" })).IsFault(400, "badRequest");
        (await PostAsync(new { volume_id = "x" })).IsFault(400, "badRequest", "Invalid input for field/attribute volume_id. Value: x. 'x' is not a 'uuid'");
        (await PostAsync(new { volume_id = volume.Id, colour = "red" })).IsFault(400, "badRequest");
        (await PostAsync(new { volume_id = volume.Id, name = new string('x', 256) })).IsFault(400, "badRequest");
        (await PostAsync(new { volume_id = volume.Id, name = 7 })).IsFault(400, "badRequest", "Invalid input for field/attribute name. Value: 7. 7 is not of type 'string', 'null'");
        (await PostAsync(new { volume_id = volume.Id, metadata = new Dictionary<string, string> { ["ä"] = "x" } })).IsFault(400, "badRequest");
        (await PostAsync(new { volume_id = volume.Id, metadata = new Dictionary<string, object> { ["a"] = 1 } })).IsFault(400, "badRequest");
        foreach (var odd in new object?[] { 1, 2, "trUE", "01", "1 ", "-1", null })
        {
            (await PostAsync(new { volume_id = volume.Id, force = odd })).IsFault(400, "badRequest");
        }

        Assert.Equal(HttpStatusCode.Accepted, (await PostAsync(new { volume_id = volume.Id, name = new string('x', 255), metadata = (object?)null })).Status);
    }

    [Fact]
    public async Task A_name_is_stripped_after_its_length_was_looked_at_and_wins_over_its_older_spelling()
    {
        var volume = await VolumeAsync();
        async Task<string?> NameOf(object snapshot) => (await PostAsync(snapshot)).Json.GetProperty("snapshot").GetProperty("name").GetString();
        Assert.Equal("new", await NameOf(new { volume_id = volume.Id, name = "  new  ", display_name = "old" }));
        Assert.Equal("old", await NameOf(new { volume_id = volume.Id, display_name = "old" }));
        (await PostAsync(new { volume_id = volume.Id, name = "new", display_name = 7 })).IsFault(
            400, "badRequest", "Invalid input for field/attribute display_name. Value: 7. 7 is not of type 'string', 'null'");
        var described = await PostAsync(new { volume_id = volume.Id, description = " why " });
        Assert.Equal("why", described.Json.GetProperty("snapshot").GetProperty("description").GetString());
        Assert.Equal("", await NameOf(new { volume_id = volume.Id, name = "" }));
        Assert.Null(await NameOf(new { volume_id = volume.Id, name = (string?)null }));
        Assert.Equal("", await NameOf(new { volume_id = volume.Id, name = new string(' ', 255) }));
        (await PostAsync(new { volume_id = volume.Id, name = "x" + new string(' ', 255) })).IsFault(400, "badRequest");
        (await PostAsync(new { volume_id = volume.Id, description = new string('d', 256) })).IsFault(400, "badRequest");
    }

    [Fact]
    public async Task A_volume_that_is_null_unknown_or_somebody_elses_is_404_before_anything_else_is_said()
    {
        var foreign = await VolumeAsync(api.Tokens.OtherProject);
        (await PostAsync(new { volume_id = (string?)null })).IsFault(404, "itemNotFound", "Volume None could not be found.");
        var unknown = Guid.NewGuid();
        (await PostAsync(new { volume_id = unknown })).IsFault(404, "itemNotFound", $"Volume {unknown} could not be found.");
        (await PostAsync(new { volume_id = foreign.Id, force = false }, "3.66")).IsFault(404, "itemNotFound", $"Volume {foreign.Id} could not be found.");
        (await api.PostAsync(Snapshots, api.Tokens.Reader, new { snapshot = new { volume_id = foreign.Id } })).IsFault(404, "itemNotFound");
        // Whoever may not read a volume does not learn that it is there.
        var own = await VolumeAsync();
        (await api.PostAsync(Snapshots, api.Tokens.Nobody, new { snapshot = new { volume_id = own.Id } })).IsFault(404, "itemNotFound", $"Volume {own.Id} could not be found.");
        (await api.GetAsync($"{Volumes}/{own.Id}", api.Tokens.Nobody)).IsFault(404, "itemNotFound", $"Volume {own.Id} could not be found.");
        (await api.DeleteAsync($"{Volumes}/{own.Id}", api.Tokens.Nobody)).IsFault(404, "itemNotFound", $"Volume {own.Id} could not be found.");
    }

    [Fact]
    public async Task Only_members_make_snapshots()
    {
        var volume = await VolumeAsync();
        (await api.PostAsync(Snapshots, api.Tokens.Reader, new { snapshot = new { volume_id = volume.Id } }))
            .IsFault(403, "forbidden", "Policy doesn't allow volume:create_snapshot to be performed.");
        (await api.PostAsync(Snapshots, api.Tokens.Reader, new { snapshot = new { volume_id = volume.Id, force = "no" } }, ("OpenStack-API-Version", "volume 3.66"))).IsFault(400, "badRequest");
    }

    [Fact]
    public async Task An_attached_volume_needs_force_below_3_66_and_may_not_be_denied_it_from_there_on()
    {
        var volume = await VolumeAsync(status: "in-use");
        (await PostAsync(new { volume_id = volume.Id })).IsFault(400, "badRequest", $"Invalid volume: Volume {volume.Id} status must be available, but current status is: in-use.");
        (await PostAsync(new { volume_id = volume.Id, force = "off" }, "3.65")).IsFault(400, "badRequest");
        Assert.Equal(HttpStatusCode.Accepted, (await PostAsync(new { volume_id = volume.Id, force = "YES" }, "3.65")).Status);
        Assert.Equal(HttpStatusCode.Accepted, (await PostAsync(new { volume_id = volume.Id }, "3.66")).Status);
        Assert.Equal(HttpStatusCode.Accepted, (await PostAsync(new { volume_id = volume.Id, force = true }, "3.66")).Status);
        (await PostAsync(new { volume_id = volume.Id, force = false }, "3.66")).IsFault(
            400, "badRequest", "The force option is invalid since microversion 3.66: snapshots of attached volumes are made without it. Leave it out.");
        var broken = await VolumeAsync(status: "error");
        (await PostAsync(new { volume_id = broken.Id, force = true })).IsFault(400, "badRequest", "Invalid volume: The snapshot cannot be created when the volume is in error status.");
    }

    [Fact]
    public async Task Over_quota_is_413_with_when_to_come_back()
    {
        var (project, token) = (api.Tokens.OtherProject, api.Tokens.OtherMember);
        var volume = await VolumeAsync(project);
        await api.Service<QuotaStore>().SetLimitAsync(project, "snapshots", 0, TestContext.Current.CancellationToken);
        var answer = await api.PostAsync($"/volume/v3/{project}/snapshots", token, new { snapshot = new { volume_id = volume.Id } });
        answer.IsFault(413, "overLimit", "SnapshotLimitExceeded: Maximum number of snapshots allowed (0) exceeded");
        Assert.Equal(("0", "0"), (answer.Json.GetProperty("overLimit").GetProperty("retryAfter").GetString(), answer.Header("Retry-After")));
    }

    [Fact]
    public async Task A_driver_that_fails_leaves_an_error_row_and_a_message_and_the_row_can_be_deleted()
    {
        var volume = await VolumeAsync();
        hosts.Broken = ErrorKind.BackendRefused;
        var id = Id((await PostAsync(new { volume_id = volume.Id })).Json.GetProperty("snapshot"));
        await WhenAsync(id, "error");
        var messages = await api.GetAsync($"/volume/v3/{api.Tokens.Project}/messages?resource_uuid={id}", api.Tokens.Reader, ("OpenStack-API-Version", "volume 3.3"));
        var message = Assert.Single(messages.Json.GetProperty("messages").EnumerateArray());
        Assert.Equal(("VOLUME_VOLUME_SNAPSHOT_009_013", "VOLUME_SNAPSHOT", "ERROR"), (
            message.GetProperty("event_id").GetString(), message.GetProperty("resource_type").GetString(), message.GetProperty("message_level").GetString()));
        (await api.GetAsync($"/volume/v3/{api.Tokens.Project}/messages", api.Tokens.Reader)).IsFault(404, "itemNotFound");
        (await api.GetAsync($"/volume/v3/{api.Tokens.OtherProject}/messages/{Id(message)}", api.Tokens.OtherMember, ("OpenStack-API-Version", "volume 3.3"))).IsFault(404, "itemNotFound");

        hosts.Broken = null;
        Assert.Equal(HttpStatusCode.Accepted, (await api.DeleteAsync($"{Snapshots}/{id}", api.Tokens.Member)).Status);
        await GoneAsync(id);
    }

    [Fact]
    public async Task A_deleted_snapshot_is_202_then_gone_and_not_deleted_while_it_is_being_made()
    {
        var volume = await VolumeAsync();
        hosts.Hold = new();
        var id = Id((await PostAsync(new { volume_id = volume.Id })).Json.GetProperty("snapshot"));
        (await api.DeleteAsync($"{Snapshots}/{id}", api.Tokens.Member)).IsFault(
            400, "badRequest", "Invalid snapshot: Snapshot status must be available or error and must not be part of a group.");
        hosts.Hold.SetResult();
        await WhenAsync(id, "available");

        (await api.DeleteAsync($"{Snapshots}/{id}", api.Tokens.Reader)).IsFault(403, "forbidden", "Policy doesn't allow volume:delete_snapshot to be performed.");
        (await api.DeleteAsync($"/volume/v3/{api.Tokens.OtherProject}/snapshots/{id}", api.Tokens.OtherMember)).IsFault(404, "itemNotFound", $"Snapshot {id} could not be found.");
        var answer = await api.DeleteAsync($"{Snapshots}/{id}", api.Tokens.Member);
        Assert.Equal((HttpStatusCode.Accepted, ""), (answer.Status, answer.Text));
        await GoneAsync(id);
        Assert.False(hosts.Snapshots.ContainsKey(SnapshotId.Parse(id)));
        (await api.DeleteAsync($"{Snapshots}/{id}", api.Tokens.Member)).IsFault(404, "itemNotFound", $"Snapshot {id} could not be found.");
    }

    [Fact]
    public async Task The_same_idempotency_key_is_the_same_snapshot()
    {
        var volume = await VolumeAsync();
        Task<Answer> Again() => api.PostAsync(
            Snapshots, api.Tokens.Member, new { snapshot = new { volume_id = volume.Id, name = "once" } }, ("Idempotency-Key", $"snapshot-of-{volume.Id}"));
        var id = Id((await Again()).Json.GetProperty("snapshot"));
        await WhenAsync(id, "available");
        Assert.Equal(id, Id((await Again()).Json.GetProperty("snapshot")));
    }

    [Fact]
    public async Task A_volume_is_made_from_a_snapshot_listed_shown_and_deleted()
    {
        var source = await VolumeAsync();
        var snapshot = Id((await PostAsync(new { volume_id = source.Id })).Json.GetProperty("snapshot"));
        await WhenAsync(snapshot, "available");

        // As the stock client says it, with everything it does not mean as null.
        var answer = await api.PostAsync(Volumes, api.Tokens.Member, new
        {
            volume = new
            {
                size = 12, consistencygroup_id = (string?)null, snapshot_id = snapshot, name = "copy", description = (string?)null, volume_type = (string?)null,
                availability_zone = (string?)null, metadata = new { k = "v" }, imageRef = (string?)null, source_volid = (string?)null, backup_id = (string?)null,
            },
        });
        Assert.Equal(HttpStatusCode.Accepted, answer.Status);
        var id = Id(answer.Json.GetProperty("volume"));
        Assert.Equal(("creating", snapshot), (answer.Json.GetProperty("volume").GetProperty("status").GetString(), answer.Json.GetProperty("volume").GetProperty("snapshot_id").GetString()));
        var volume = await Eventually.IsAsync(
            async () => (await api.GetAsync($"{Volumes}/{id}", api.Tokens.Reader)).Json.GetProperty("volume"), v => v.GetProperty("status").GetString() == "available");
        Assert.Equal((12, "copy", "v", "true"), (
            volume.GetProperty("size").GetInt32(), volume.GetProperty("name").GetString(), volume.GetProperty("metadata").GetProperty("k").GetString(), volume.GetProperty("bootable").GetString()));
        Assert.Equal(0, volume.GetProperty("attachments").GetArrayLength());
        Assert.False(volume.TryGetProperty("os-vol-host-attr:host", out _));
        Assert.Contains((await api.GetAsync(Volumes + "/detail", api.Tokens.Reader)).Json.GetProperty("volumes").EnumerateArray(), v => Id(v) == id);
        (await api.GetAsync($"/volume/v3/{api.Tokens.OtherProject}/volumes/{id}", api.Tokens.OtherMember)).IsFault(404, "itemNotFound", $"Volume {id} could not be found.");

        Assert.Equal(HttpStatusCode.Accepted, (await api.DeleteAsync($"{Volumes}/{id}", api.Tokens.Member)).Status);
        await Eventually.IsAsync(async () => (await api.GetAsync($"{Volumes}/{id}", api.Tokens.Reader)).Status, s => s is HttpStatusCode.NotFound);
        Assert.False(hosts.Volumes.ContainsKey(VolumeId.Parse(id)));
    }

    [Fact]
    public async Task A_volume_that_is_stuck_goes_when_an_administrator_forces_it()
    {
        var source = await VolumeAsync();
        var snapshot = Id((await PostAsync(new { volume_id = source.Id })).Json.GetProperty("snapshot"));
        await WhenAsync(snapshot, "available");
        var id = Id((await api.PostAsync(Volumes, api.Tokens.Member, new { volume = new { snapshot_id = snapshot } })).Json.GetProperty("volume"));
        await Eventually.IsAsync(
            async () => (await api.GetAsync($"{Volumes}/{id}", api.Tokens.Reader)).Json.GetProperty("volume"), v => v.GetProperty("status").GetString() == "available");
        Task<Answer> Act(string action, object? body) =>
            api.PostAsync($"/volume/v3/{api.Tokens.AdminProject}/volumes/{id}/action", api.Tokens.Admin, new Dictionary<string, object?> { [action] = body });
        Assert.Equal(HttpStatusCode.Accepted, (await Act("os-reset_status", new { status = "error_deleting" })).Status);
        (await api.DeleteAsync($"{Volumes}/{id}", api.Tokens.Member)).IsFault(400, "badRequest");

        Assert.Equal(HttpStatusCode.Accepted, (await Act("os-force_delete", null)).Status);
        await Eventually.IsAsync(async () => (await api.GetAsync($"{Volumes}/{id}", api.Tokens.Reader)).Status, s => s is HttpStatusCode.NotFound);
        Assert.False(hosts.Volumes.ContainsKey(VolumeId.Parse(id)));
    }

    [Fact]
    public async Task What_no_volume_can_be_made_from_is_refused()
    {
        var source = await VolumeAsync();
        var snapshot = Id((await PostAsync(new { volume_id = source.Id })).Json.GetProperty("snapshot"));
        await WhenAsync(snapshot, "available");
        Task<Answer> Make(object volume) => api.PostAsync(Volumes, api.Tokens.Member, new { volume });
        (await Make(new { size = 10 })).IsFault(400, "badRequest");
        (await Make(new { snapshot_id = "x" })).IsFault(400, "badRequest");
        (await Make(new { snapshot_id = snapshot, size = "ten" })).IsFault(400, "badRequest");
        (await Make(new { snapshot_id = snapshot, size = 0 })).IsFault(400, "badRequest");
        (await Make(new { snapshot_id = snapshot, source_volid = source.Id })).IsFault(400, "badRequest");
        (await Make(new { snapshot_id = snapshot, size = 9 })).IsFault(
            400, "badRequest", "Invalid input received: Volume size '9'GB cannot be smaller than the snapshot size 10GB. They must be >= original snapshot size.");
        var unknown = Guid.NewGuid();
        (await Make(new { snapshot_id = unknown })).IsFault(404, "itemNotFound", $"Snapshot {unknown} could not be found.");
        (await api.PostAsync(Volumes, api.Tokens.Reader, new { volume = new { snapshot_id = snapshot } })).IsFault(403, "forbidden", "Policy doesn't allow volume:create to be performed.");
        (await api.PostAsync($"/volume/v3/{api.Tokens.OtherProject}/volumes", api.Tokens.OtherMember, new { volume = new { snapshot_id = snapshot } })).IsFault(404, "itemNotFound");
        (await api.DeleteAsync($"{Volumes}/{source.Id}", api.Tokens.Member)).IsFault(400, "badRequest");
    }

    private static string Id(JsonElement thing) => thing.GetProperty("id").GetString()!;

    private Task<Answer> PostAsync(object snapshot, string version = "3.0") => api.PostAsync(Snapshots, api.Tokens.Member, new { snapshot }, ("OpenStack-API-Version", $"volume {version}"));

    private Task<JsonElement> WhenAsync(string id, string status) => Eventually.IsAsync(
        async () => (await api.GetAsync($"{Snapshots}/{id}", api.Tokens.Reader)).Json.GetProperty("snapshot"), s => s.GetProperty("status").GetString() == status);

    private Task<HttpStatusCode> GoneAsync(string id) =>
        Eventually.IsAsync(async () => (await api.GetAsync($"{Snapshots}/{id}", api.Tokens.Reader)).Status, s => s is HttpStatusCode.NotFound);

    private async Task<Volume> VolumeAsync(string? project = null, string status = "available")
    {
        var server = Given.Server(project ?? api.Tokens.Project);
        var volume = Given.Volume(server.ProjectId, bootable: true) with { Status = status };
        await api.Service<ServerStore>().RegisterAsync(Given.Registration(server, volume), Given.Now, TestContext.Current.CancellationToken);
        await api.Service<QuotaStore>().SetLimitAsync(api.Tokens.Project, "volumes", -1, TestContext.Current.CancellationToken);
        return volume;
    }
}
