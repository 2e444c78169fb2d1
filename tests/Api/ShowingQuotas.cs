using System.Net;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>Limits and quota sets of Block Storage: what is shown of use and reservations, and what an administrator may set.</summary>
public sealed class ShowingQuotas(ApiAlone alone) : IAsyncLifetime, IClassFixture<ApiAlone>
{
    private ApiUnderTest api = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private string Set => $"/volume/v3/{api.Tokens.Project}/os-quota-sets/{api.Tokens.Project}";

    private string SetOfAdmin => $"/volume/v3/{api.Tokens.AdminProject}/os-quota-sets/{api.Tokens.Project}";

    public async ValueTask InitializeAsync() => api = await alone.Api.AnewAsync();

    public ValueTask DisposeAsync() => api.DisposeAsync();

    [Fact]
    public async Task Limits_count_what_is_there_and_quota_sets_tell_reservations_from_it()
    {
        await UseAsync();
        var limits = (await api.GetAsync($"/volume/v3/{api.Tokens.Project}/limits", api.Tokens.Reader)).Json.GetProperty("limits");
        Assert.Empty(limits.GetProperty("rate").EnumerateArray());
        Assert.Equal(
            [
                "maxTotalBackupGigabytes", "maxTotalBackups", "maxTotalSnapshots", "maxTotalVolumeGigabytes", "maxTotalVolumes", "totalBackupGigabytesUsed", "totalBackupsUsed",
                "totalGigabytesUsed", "totalSnapshotsUsed", "totalVolumesUsed",
            ],
            limits.GetProperty("absolute").EnumerateObject().Select(p => p.Name).Order(StringComparer.Ordinal));
        Assert.Equal((10, 1, 1, 20), (Number(limits, "maxTotalSnapshots"), Number(limits, "totalSnapshotsUsed"), Number(limits, "totalVolumesUsed"), Number(limits, "totalGigabytesUsed")));

        var usage = (await api.GetAsync(Set + "?usage=True", api.Tokens.Reader)).Json.GetProperty("quota_set");
        Assert.Equal("""{"limit":10,"in_use":1,"reserved":3}""", usage.GetProperty("snapshots").GetRawText());
        Assert.Equal(api.Tokens.Project, usage.GetProperty("id").GetString());
        Assert.Equal(10, (await api.GetAsync(Set, api.Tokens.Reader)).Json.GetProperty("quota_set").GetProperty("snapshots").GetInt32());
    }

    [Fact]
    public async Task Limits_of_other_projects_are_for_administrators_from_3_39_on_and_ignored_before()
    {
        await UseAsync();
        Task<Answer> Ask(string version, string token, string project) => api.GetAsync(
            $"/volume/v3/{project}/limits?project_id={api.Tokens.Project}", token, ("OpenStack-API-Version", $"volume {version}"));
        Assert.Equal(1, Number((await Ask("3.39", api.Tokens.Admin, api.Tokens.AdminProject)).Json.GetProperty("limits"), "totalSnapshotsUsed"));
        Assert.Equal(0, Number((await Ask("3.38", api.Tokens.Admin, api.Tokens.AdminProject)).Json.GetProperty("limits"), "totalSnapshotsUsed"));
        Assert.Equal(0, Number((await Ask("3.39", api.Tokens.OtherMember, api.Tokens.OtherProject)).Json.GetProperty("limits"), "totalSnapshotsUsed"));
    }

    [Fact]
    public async Task Who_may_not_see_what_is_used_sees_the_limits_alone()
    {
        var absolute = (await api.GetAsync($"/volume/v3/{api.Tokens.Project}/limits", api.Tokens.Nobody)).Json.GetProperty("limits").GetProperty("absolute");
        Assert.All(absolute.EnumerateObject(), p => Assert.StartsWith("max", p.Name, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_limit_is_not_set_below_what_is_used_and_reserved_except_to_none_and_all_are_set_or_none()
    {
        await UseAsync();
        (await PutAsync(new { snapshots = 3 })).IsFault(400, "badRequest", "Quota limit 3 for snapshots must be greater than or equal to the 4 already in use.");
        (await PutAsync(new { volumes = 50, snapshots = 3 })).IsFault(400, "badRequest");
        Assert.Equal(10, await LimitAsync("volumes"));
        Assert.Equal(HttpStatusCode.OK, (await PutAsync(new { snapshots = "4", volumes = 50 })).Status);
        Assert.Equal((4, 50), (await LimitAsync("snapshots"), await LimitAsync("volumes")));
        Assert.Equal(HttpStatusCode.OK, (await PutAsync(new { snapshots = -1 })).Status);
        (await PutAsync(new { snapshots = -2 })).IsFault(400, "badRequest");
        (await PutAsync(new { snapshots = 1.5 })).IsFault(400, "badRequest");
        (await PutAsync(new { floppies = 1, bricks = 2 })).IsFault(400, "badRequest", "Bad key(s) in quota set: bricks,floppies");
        Assert.Equal(10, (await api.GetAsync(Set + "/defaults", api.Tokens.Reader)).Json.GetProperty("quota_set").GetProperty("snapshots").GetInt32());

        Assert.Equal(HttpStatusCode.OK, (await api.DeleteAsync(SetOfAdmin, api.Tokens.Admin)).Status);
        Assert.Equal((10, 10), (await LimitAsync("snapshots"), await LimitAsync("volumes")));
    }

    /// <summary>A volume of 10 GiB with a snapshot, and a reservation for three more.</summary>
    private async Task UseAsync()
    {
        var server = await api.RegisterServerAsync();
        var volume = (await api.Service<ServerStore>().BlockDevicesAsync(server.Id, Ct))[0].VolumeId!.Value;
        await api.Service<Database>().WriteAsync(
            async s =>
            {
                await api.Service<SnapshotStore>().AddAsync(s, [Given.Snapshot((await api.Service<VolumeStore>().FindAsync(s, [volume])).Single())]);
                Assert.Empty(await api.Service<QuotaStore>().ReserveAsync(s, ImageId.New(), [new(api.Tokens.Project, Quota.Snapshots, 3)], TimeProvider.System.GetUtcNow()));
            },
            Ct);
    }

    private static int Number(JsonElement limits, string name) => limits.GetProperty("absolute").GetProperty(name).GetInt32();

    private async Task<int> LimitAsync(string resource) => (await api.GetAsync(Set, api.Tokens.Reader)).Json.GetProperty("quota_set").GetProperty(resource).GetInt32();

    private Task<Answer> PutAsync(object limits) => api.SendAsync(
        HttpMethod.Put, SetOfAdmin, api.Tokens.Admin, new StringContent(JsonSerializer.Serialize(new { quota_set = limits }), System.Text.Encoding.UTF8, "application/json"));
}
