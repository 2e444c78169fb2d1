using System.Net;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>What an administrator does for a back end and to the snapshots on it: freezing and thawing it, giving a snapshot up, and how large volumes may be.</summary>
public sealed class FreezingABackEnd(Cloud cloud) : IClassFixture<Cloud>, IAsyncLifetime
{
    private const string Frozen = "Invalid input received: Modification operations are not allowed on frozen storage backends.";

    private readonly ApiUnderTest api = cloud.Api;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private string Volume => $"/volume/v3/{api.Tokens.Project}";

    private string AdminVolume => $"/volume/v3/{api.Tokens.AdminProject}";

    public async ValueTask InitializeAsync() => await api.Service<QuotaStore>().SetLimitAsync(api.Tokens.Project, Quota.Volumes, Quota.Unlimited, Ct);

    /// <summary>No test leaves it frozen for the next.</summary>
    public async ValueTask DisposeAsync() => await SwitchAsync("thaw");

    [Fact]
    public async Task On_a_frozen_back_end_nothing_is_made_or_deleted_and_everything_again_once_it_is_thawed()
    {
        var server = await api.RegisterServerAsync();
        var (image, volume) = (await ImageAsync(server), (await api.Service<ServerStore>().BlockDevicesAsync(server.Id, Ct))[0].VolumeId!.Value);
        var snapshot = await SnapshotAsync(volume);
        var made = (await MakeVolumeAsync(snapshot)).Json.GetProperty("volume").GetProperty("id").GetString();
        await Eventually.IsAsync(async () => await StatusAsync("volume", $"volumes/{made}"), s => s == "available");

        Assert.Equal(HttpStatusCode.Accepted, (await SwitchAsync("freeze")).Status);
        Assert.Equal(HttpStatusCode.Accepted, (await SwitchAsync("freeze")).Status);

        (await MakeSnapshotAsync(volume)).IsFault(400, "badRequest", Frozen);
        (await api.DeleteAsync($"{Volume}/snapshots/{snapshot}", api.Tokens.Member)).IsFault(400, "badRequest", Frozen);
        (await ActAsync(snapshot, "os-force_delete")).IsFault(400, "badRequest", Frozen);
        (await ActAsync(snapshot, "os-unmanage")).IsFault(400, "badRequest", Frozen);
        (await MakeVolumeAsync(snapshot)).IsFault(400, "badRequest", Frozen);
        (await api.DeleteAsync($"{Volume}/volumes/{made}", api.Tokens.Member)).IsFault(400, "badRequest", Frozen);
        (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "never" })).IsFault(400, "badRequest", $"Invalid input received: {Frozen} (volume {volume})");
        (await api.PostAsync($"/runs/{image}/restore", api.Tokens.Member, new { })).IsFault(409, "conflictingRequest");
        (await api.DeleteAsync($"/image/v2/images/{image}", api.Tokens.Member)).IsImageFault(
            409, "Conflict", $"Image {image} could not be deleted because its snapshots are on a frozen storage backend: wait until it is thawed, or keep them.");
        Assert.Equal(("available", "available"), (await StatusAsync("snapshot", $"snapshots/{snapshot}"), await StatusAsync("volume", $"volumes/{made}")));
        Assert.Null((await api.Service<ServerStore>().FindAsync(server.Id, Ct))!.TaskState);

        Assert.Equal(HttpStatusCode.Accepted, (await SwitchAsync("thaw")).Status);
        Assert.Equal(HttpStatusCode.Accepted, (await MakeSnapshotAsync(volume)).Status);
        Assert.Equal(HttpStatusCode.Accepted, (await api.DeleteAsync($"{Volume}/volumes/{made}", api.Tokens.Member)).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await api.DeleteAsync($"/image/v2/images/{image}", api.Tokens.Member)).Status);
    }

    /// <summary>Volume, what the microversion says of force, frozen back end, policy, then the volume itself.</summary>
    [Fact]
    public async Task That_it_is_frozen_is_said_after_the_volume_was_found_and_before_anybodys_role_is_asked_for()
    {
        var server = await api.RegisterServerAsync();
        var volume = (await api.Service<ServerStore>().BlockDevicesAsync(server.Id, Ct))[0].VolumeId!.Value;
        await SwitchAsync("freeze");
        (await MakeSnapshotAsync(VolumeId.New())).IsFault(404, "itemNotFound");
        Assert.StartsWith(
            "The force option is invalid", (await MakeSnapshotAsync(volume, force: false, version: "3.66")).Json.GetProperty("badRequest").GetProperty("message").GetString(), StringComparison.Ordinal);
        (await MakeSnapshotAsync(volume, token: api.Tokens.Reader)).IsFault(400, "badRequest", Frozen);
        await SwitchAsync("thaw");
        (await MakeSnapshotAsync(volume, token: api.Tokens.Reader)).IsFault(403, "forbidden", "Policy doesn't allow volume:create_snapshot to be performed.");
    }

    [Fact]
    public async Task An_administrator_sees_the_back_ends_whether_their_workers_live_and_which_are_frozen()
    {
        await api.RegisterServerAsync();
        await SwitchAsync("freeze");
        var service = Assert.Single((await api.GetAsync($"{AdminVolume}/os-services?host=host1@file", api.Tokens.Admin)).Json.GetProperty("services").EnumerateArray());
        Assert.Equal(("cinder-volume", "host1@file", "nova", "disabled", "up", true, "frozen"), (
            service.GetProperty("binary").GetString(), service.GetProperty("host").GetString(), service.GetProperty("zone").GetString(), service.GetProperty("status").GetString(),
            service.GetProperty("state").GetString(), service.GetProperty("frozen").GetBoolean(), service.GetProperty("disabled_reason").GetString()));
        await SwitchAsync("thaw");
        service = Assert.Single((await api.GetAsync($"{AdminVolume}/os-services?host=host1", api.Tokens.Admin)).Json.GetProperty("services").EnumerateArray());
        Assert.Equal(("enabled", false), (service.GetProperty("status").GetString(), service.TryGetProperty("disabled_reason", out _)));
        Assert.Empty((await api.GetAsync($"{AdminVolume}/os-services?binary=cinder-backup", api.Tokens.Admin)).Json.GetProperty("services").EnumerateArray());
        (await SwitchAsync("freeze", "nowhere@none")).IsFault(404, "itemNotFound", "Service nowhere@none could not be found.");
        (await SwitchAsync("thaw", "nowhere@none")).IsFault(404, "itemNotFound", "Service nowhere@none could not be found.");
    }

    [Fact]
    public async Task A_snapshot_that_is_given_up_is_gone_from_the_records_and_its_quota_and_stays_in_its_back_end()
    {
        var server = await api.RegisterServerAsync();
        var snapshot = await SnapshotAsync((await api.Service<ServerStore>().BlockDevicesAsync(server.Id, Ct))[0].VolumeId!.Value);
        var used = await UsedAsync();
        (await ActAsync(snapshot, "os-unmanage", api.Tokens.Member)).IsFault(403, "forbidden", "Policy doesn't allow snapshot_extension:snapshot_unmanage to be performed.");
        await ActAsync(snapshot, "os-reset_status", body: new { status = "error_deleting" });
        (await ActAsync(snapshot, "os-unmanage")).IsFault(400, "badRequest", "Invalid snapshot: Snapshot status must be available or error and must not be part of a group.");
        await ActAsync(snapshot, "os-reset_status", body: new { status = "available" });

        Assert.Equal(HttpStatusCode.Accepted, (await ActAsync(snapshot, "os-unmanage")).Status);

        (await api.GetAsync($"{Volume}/snapshots/{snapshot}", api.Tokens.Member)).IsFault(404, "itemNotFound");
        Assert.Equal(used - 1, await UsedAsync());
        Assert.True(cloud.Hosts.Snapshots.ContainsKey(snapshot));
        // A look at the back end takes it for somebody's: it is neither reported nor removed.
        Assert.Equal([new(snapshot, null)], await api.Service<ReconciliationStore>().RowsAsync([snapshot], Ct));
        Assert.Equal(
            ["snapshot.delete.start", "snapshot.delete.end"],
            (await api.Service<NotificationStore>().OfResourceAsync(snapshot.ToString(), Ct)).Select(n => n.EventType).Where(e => e.StartsWith("snapshot.delete", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_snapshot_of_an_image_is_not_given_up()
    {
        var image = await ImageAsync(await api.RegisterServerAsync());
        var snapshot = (await api.Service<SnapshotStore>().ListAsync(api.Tokens.Project, new(Image: image), new(10), Ct))[0].Id;
        (await ActAsync(snapshot, "os-unmanage")).IsFault(409, "conflictingRequest", $"Invalid snapshot: Snapshot {snapshot} is part of an image: delete the image first, with keep_snapshots.");
        Assert.Equal("available", await StatusAsync("snapshot", $"snapshots/{snapshot}"));
    }

    [Fact]
    public async Task No_volume_is_larger_than_per_volume_gigabytes_allows()
    {
        var server = await api.RegisterServerAsync();
        var image = await ImageAsync(server);
        var snapshot = await SnapshotAsync((await api.Service<ServerStore>().BlockDevicesAsync(server.Id, Ct))[0].VolumeId!.Value);
        Assert.Equal(-1, (await api.GetAsync($"{Volume}/os-quota-sets/{api.Tokens.Project}", api.Tokens.Reader)).Json.GetProperty("quota_set").GetProperty("per_volume_gigabytes").GetInt32());
        try
        {
            await LimitAsync(11);
            Assert.Equal(HttpStatusCode.Accepted, (await MakeVolumeAsync(snapshot, 11)).Status);
            (await MakeVolumeAsync(snapshot, 12)).IsFault(413, "overLimit", "VolumeSizeExceedsLimit: Requested volume size 12G is larger than maximum allowed limit 11G.");
            await LimitAsync(9);
            (await api.PostAsync($"/runs/{image}/restore", api.Tokens.Member, new { })).IsFault(
                403, "forbidden", "VolumeSizeExceedsLimit: Requested volume size 10G is larger than maximum allowed limit 9G.");
        }
        finally
        {
            await LimitAsync(-1);
        }
    }

    private async Task LimitAsync(int gigabytes) => Assert.Equal(HttpStatusCode.OK, (await PutAsync(
        $"{AdminVolume}/os-quota-sets/{api.Tokens.Project}", new { quota_set = new { per_volume_gigabytes = gigabytes } })).Status);

    private Task<Answer> SwitchAsync(string action, string host = "host1@file") => PutAsync($"{AdminVolume}/os-services/{action}", new { host });

    private Task<Answer> PutAsync(string path, object body) =>
        api.SendAsync(HttpMethod.Put, path, api.Tokens.Admin, new StringContent(JsonSerializer.Serialize(body), System.Text.Encoding.UTF8, "application/json"));

    private Task<Answer> ActAsync(SnapshotId snapshot, string action, string? token = null, object? body = null) =>
        api.PostAsync($"{(token is null ? AdminVolume : Volume)}/snapshots/{snapshot}/action", token ?? api.Tokens.Admin, new Dictionary<string, object?> { [action] = body });

    private Task<Answer> MakeSnapshotAsync(VolumeId volume, bool force = true, string version = "3.0", string? token = null) =>
        api.PostAsync($"{Volume}/snapshots", token ?? api.Tokens.Member, new { snapshot = new { volume_id = volume, force } }, ("OpenStack-API-Version", $"volume {version}"));

    private Task<Answer> MakeVolumeAsync(SnapshotId snapshot, int size = 10) => api.PostAsync($"{Volume}/volumes", api.Tokens.Member, new { volume = new { snapshot_id = snapshot, size } });

    private async Task<SnapshotId> SnapshotAsync(VolumeId volume)
    {
        var id = SnapshotId.Parse((await MakeSnapshotAsync(volume)).Json.GetProperty("snapshot").GetProperty("id").GetString()!);
        await Eventually.IsAsync(() => StatusAsync("snapshot", $"snapshots/{id}"), s => s == "available");
        return id;
    }

    private async Task<ImageId> ImageAsync(Server server)
    {
        var id = ImageId.Parse(
            (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap" }, ("OpenStack-API-Version", "compute 2.45"))).Json.GetProperty("image_id").GetString()!);
        await Eventually.IsAsync(async () => (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Reader)).Json.GetProperty("status").GetString(), s => s == "active");
        return id;
    }

    private async Task<string?> StatusAsync(string noun, string path) => (await api.GetAsync($"{Volume}/{path}", api.Tokens.Reader)).Json.GetProperty(noun).GetProperty("status").GetString();

    private async Task<int> UsedAsync() =>
        (await api.GetAsync($"{Volume}/limits", api.Tokens.Reader)).Json.GetProperty("limits").GetProperty("absolute").GetProperty("totalSnapshotsUsed").GetInt32();
}
