using System.Net;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>Promises of <c>createImage</c> that need everything behind the api and are proven nowhere else; <c>docs/deviations.md</c> lists where each is.</summary>
public sealed class MakingAnImageByTheBook(Cloud cloud) : IClassFixture<Cloud>, IDisposable
{
    private readonly ApiUnderTest api = cloud.Api;
    private readonly FakeHosts hosts = cloud.Hosts;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => hosts.BrokenVolume = null;

    [Fact]
    public async Task Local_devices_are_carried_first_and_as_they_are_what_is_no_device_is_left_out_and_each_volume_is_a_snapshot()
    {
        var server = Given.Server(api.Tokens.Project);
        var volumes = Enumerable.Range(0, 3).Select(i => Given.Volume(server.ProjectId, bootable: i == 0)).ToArray();
        var registration = Given.Registration(server, volumes);
        await api.Service<ServerStore>().RegisterAsync(
            registration with
            {
                BlockDevices =
                [
                    .. registration.BlockDevices,
                    new BlockDevice { SourceType = "blank", DestinationType = "local", GuestFormat = "swap", BootIndex = -1, DeviceName = "/dev/vdh", DeleteOnTermination = true },
                    new BlockDevice { SourceType = "blank", DestinationType = "local", DeviceName = "/dev/vdi", NoDevice = true },
                ],
            },
            Given.Now, Ct);

        var image = await ImageWhenAsync(await AcceptedAsync(server), "active");

        var mapping = JsonDocument.Parse(image.GetProperty("block_device_mapping").GetString()!).RootElement.EnumerateArray().ToList();
        Assert.Equal(["blank", "snapshot", "snapshot", "snapshot"], mapping.Select(e => e.GetProperty("source_type").GetString()));
        Assert.Equal(("swap", false, "/dev/vdh"), (
            mapping[0].GetProperty("guest_format").GetString(), mapping[0].GetProperty("no_device").GetBoolean(), mapping[0].GetProperty("device_name").GetString()));
        Assert.All(mapping.Skip(1), e => Assert.Equal(19, e.EnumerateObject().Count()));
        Assert.All(mapping.Skip(1), e => Assert.Equal(JsonValueKind.Null, e.GetProperty("no_device").ValueKind));
    }

    [Fact]
    public async Task When_the_third_of_four_volumes_fails_the_others_snapshots_go_the_guest_is_thawed_and_the_event_says_error()
    {
        var server = await api.RegisterServerAsync(volumes: 4);
        var devices = await api.Service<ServerStore>().BlockDevicesAsync(server.Id, Ct);
        hosts.BrokenVolume = devices[2].VolumeId;

        var image = await AcceptedAsync(server);

        var run = await Eventually.IsAsync(async () => (await api.GetAsync($"/runs/{image}", api.Tokens.Reader)).Json, r => r.GetProperty("status").GetString() != "running");
        Assert.Equal(("failed", 0), (run.GetProperty("status").GetString(), run.GetProperty("leftovers").GetArrayLength()));
        Assert.Contains(run.GetProperty("steps").EnumerateArray(), s => s.GetProperty("step").GetString() == "Unquiesce");
        Assert.All(devices, d => Assert.False(hosts.Snapshots.ContainsKey(DeterministicId.Snapshot(image, d.VolumeId!.Value))));
        var action = Assert.Single(await api.Service<InstanceActionStore>().ListAsync(server.Id, Ct));
        var found = (await api.Service<InstanceActionStore>().FindAsync(server.Id, action.RequestId, Ct))!;
        Assert.Equal(("createImage", "Error", "api_snapshot_instance", "Error"), (found.Action, found.Message, found.Events.Single().Event, found.Events.Single().Result));
    }

    [Fact]
    public async Task A_request_over_quota_freezes_nothing_and_leaves_no_instance_action()
    {
        var server = await api.RegisterServerAsync(project: api.Tokens.OtherProject, volumes: 2);
        await api.Service<QuotaStore>().SetLimitAsync(api.Tokens.OtherProject, "snapshots", 1, Ct);
        (await api.CreateImageAsync(server.Id, api.Tokens.OtherMember, new { name = "snap" })).IsFault(403, "forbidden", "Quota exceeded for resources: snapshots (snapshots: 2 more, 0 of 1 taken)");
        Assert.False(hosts.Freezes.ContainsKey(server.Id));
        Assert.Empty(await api.Service<InstanceActionStore>().ListAsync(server.Id, Ct));
    }

    [Fact]
    public async Task A_required_freeze_that_is_refused_freezes_nothing_and_its_instance_action_says_why()
    {
        var server = await api.RegisterServerAsync(
            s => s with { GuestAgentAddress = null, SystemMetadata = new Dictionary<string, string?>(s.SystemMetadata) { ["image_os_require_quiesce"] = "yes" } });
        (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap" })).IsFault(400, "badRequest", "QEMU guest agent is not enabled");
        Assert.False(hosts.Freezes.ContainsKey(server.Id));
        var action = Assert.Single(await api.Service<InstanceActionStore>().ListAsync(server.Id, Ct));
        async Task<JsonElement> ShownAsync(string token, string version) => (await api.GetAsync(
            $"/compute/v2.1/servers/{server.Id}/os-instance-actions/{action.RequestId}", token, ("OpenStack-API-Version", $"compute {version}"))).Json.GetProperty("instanceAction");
        async Task<IEnumerable<string>> EventAsync(string token, string version) =>
            Assert.Single((await ShownAsync(token, version)).GetProperty("events").EnumerateArray()).EnumerateObject().Select(m => m.Name).Order(StringComparer.Ordinal);
        Assert.Equal(["event", "finish_time", "hostId", "result", "start_time"], await EventAsync(api.Tokens.Reader, "2.84"));
        Assert.Equal(["event", "finish_time", "hostId", "result", "start_time", "traceback"], await EventAsync(api.Tokens.Admin, "2.83"));
        Assert.Equal(["event", "finish_time", "result", "start_time"], await EventAsync(api.Tokens.Reader, "2.61"));
        Assert.False((await ShownAsync(api.Tokens.Reader, "2.50")).TryGetProperty("events", out _));
        var shown = await ShownAsync(api.Tokens.Admin, "2.84");
        var what = Assert.Single(shown.GetProperty("events").EnumerateArray());
        Assert.Equal(("Error", "Error", "QEMU guest agent is not enabled", ""), (
            shown.GetProperty("message").GetString(), what.GetProperty("result").GetString(), what.GetProperty("details").GetString(), what.GetProperty("hostId").GetString()));
    }

    [Fact]
    public async Task Of_a_bad_body_a_foreign_server_and_a_missing_role_each_hides_what_comes_after_it()
    {
        var foreign = await api.RegisterServerAsync(project: api.Tokens.OtherProject);
        (await api.CreateImageAsync(foreign.Id, api.Tokens.Reader, new { })).IsFault(400, "badRequest");
        (await api.CreateImageAsync(foreign.Id, api.Tokens.Reader, new { name = "x" })).IsFault(404, "itemNotFound", $"Instance {foreign.Id} could not be found.");
        var own = await api.RegisterServerAsync(s => s with { VmState = VmState.Error });
        (await api.CreateImageAsync(own.Id, api.Tokens.Reader, new { name = "x" })).IsFault(403, "forbidden");
    }

    [Fact]
    public async Task A_server_whose_root_is_no_volume_is_409_and_says_what_is_supported()
    {
        var server = Given.Server(api.Tokens.Project) with { ImageRef = Guid.NewGuid().ToString() };
        await api.Service<ServerStore>().RegisterAsync(
            new(server, [new BlockDevice { SourceType = "image", DestinationType = "local", BootIndex = 0, DeviceName = "/dev/vda" }], []), Given.Now, Ct);
        (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "x" })).IsFault(
            409, "conflictingRequest", $"Cannot 'createImage' instance {server.Id}: its root disk is not a volume, and only volume-backed servers are supported.");
    }

    private async Task<ImageId> AcceptedAsync(Server server)
    {
        var answer = await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap" }, ("OpenStack-API-Version", "compute 2.45"));
        Assert.True(answer.Status is HttpStatusCode.Accepted, answer.Text);
        return ImageId.Parse(answer.Json.GetProperty("image_id").GetString()!);
    }

    private Task<JsonElement> ImageWhenAsync(ImageId id, string status) => Eventually.IsAsync(
        async () => (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Reader)).Json, i => i.TryGetProperty("status", out var s) && s.GetString() == status);
}
