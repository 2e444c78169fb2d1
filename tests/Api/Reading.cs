using System.Net;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>Servers, images, volume snapshots and runs as their records are shown.</summary>
public sealed class Reading(ApiAlone alone) : IAsyncLifetime, IClassFixture<ApiAlone>
{
    private const string Mapping = """[{"source_type": "snapshot", "boot_index": 0}]""";

    private ApiUnderTest api = null!;

    public async ValueTask InitializeAsync() => api = await alone.Api.AnewAsync();

    public ValueTask DisposeAsync() => api.DisposeAsync();

    [Fact]
    public async Task A_server_is_shown_as_Nova_shows_it()
    {
        var server = await api.RegisterServerAsync(s => s with { VmState = VmState.Stopped, TaskState = "image_snapshot", Locked = true }, volumes: 2);
        var answer = await api.GetAsync($"/compute/v2.1/servers/{server.Id}", api.Tokens.Reader, ("OpenStack-API-Version", "compute 2.9"));
        var view = answer.Json.GetProperty("server");
        Assert.Equal(server.Id.ToString(), view.GetProperty("id").GetString());
        Assert.Equal(("web", "SHUTOFF", "stopped", "image_snapshot", 4), (
            view.GetProperty("name").GetString(), view.GetProperty("status").GetString(), view.GetProperty("OS-EXT-STS:vm_state").GetString(),
            view.GetProperty("OS-EXT-STS:task_state").GetString(), view.GetProperty("OS-EXT-STS:power_state").GetInt32()));
        Assert.Equal((api.Tokens.Project, "", true), (view.GetProperty("tenant_id").GetString(), view.GetProperty("image").GetString(), view.GetProperty("locked").GetBoolean()));
        Assert.Equal(2, view.GetProperty("os-extended-volumes:volumes_attached").GetArrayLength());
        Assert.Equal("2026-08-01T10:00:00Z", view.GetProperty("created").GetString());
        Assert.False(view.TryGetProperty("OS-EXT-SRV-ATTR:host", out _));
        Assert.Equal("host1", (await api.GetAsync($"/compute/v2.1/servers/{server.Id}", api.Tokens.Admin)).Json.GetProperty("server").GetProperty("OS-EXT-SRV-ATTR:host").GetString());
        (await api.GetAsync($"/compute/v2.1/servers/{server.Id}", api.Tokens.OtherMember)).IsFault(404, "itemNotFound", $"Instance {server.Id} could not be found.");
    }

    [Fact]
    public async Task Servers_are_listed_page_by_page_and_only_ones_own()
    {
        for (var i = 0; i < 3; i++)
        {
            await api.RegisterServerAsync();
        }

        await api.RegisterServerAsync(project: api.Tokens.OtherProject);
        Assert.Equal(3, (await AllPagesAsync("/compute/v2.1/servers?limit=2", "servers", "servers_links", api.Tokens.Reader)).Count);
        Assert.Equal(3, (await AllPagesAsync("/compute/v2.1/servers/detail?all_tenants=1&limit=2", "servers", "servers_links", api.Tokens.Reader)).Count);
        Assert.Equal(4, OfThisTest(await AllPagesAsync("/compute/v2.1/servers/detail?all_tenants=1&limit=2", "servers", "servers_links", api.Tokens.Admin), "tenant_id"));
        (await api.GetAsync("/compute/v2.1/servers?limit=x", api.Tokens.Reader)).IsFault(400, "badRequest");
        (await api.GetAsync("/compute/v2.1/servers?limit=-1", api.Tokens.Reader)).IsFault(400, "badRequest");
        (await api.GetAsync("/compute/v2.1/servers?marker=x", api.Tokens.Reader)).IsFault(400, "badRequest", "marker [x] not found");
        (await api.GetAsync($"/compute/v2.1/servers?marker={Guid.NewGuid()}", api.Tokens.Reader)).IsFault(400, "badRequest");
    }

    [Fact]
    public async Task An_image_has_exactly_the_attributes_that_Glance_shows_and_its_properties_beside_them()
    {
        var id = await AddImageAsync("snap-1", new() { ["block_device_mapping"] = Mapping, ["bdm_v2"] = "True", ["root_device_name"] = "/dev/vda", ["note"] = "ünï" });
        var image = (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Reader)).Json;
        var expected = new SortedDictionary<string, object?>(StringComparer.Ordinal)
        {
            ["id"] = id.ToString(), ["name"] = "snap-1", ["status"] = "active", ["visibility"] = "private", ["protected"] = false, ["os_hidden"] = false,
            ["owner"] = api.Tokens.Project, ["size"] = 0, ["virtual_size"] = null, ["disk_format"] = "raw", ["container_format"] = "bare", ["min_disk"] = 20, ["min_ram"] = 0,
            ["checksum"] = Image.EmptyChecksum, ["os_hash_algo"] = "sha512", ["os_hash_value"] = Image.EmptyHash, ["created_at"] = "2026-08-01T10:00:00Z",
            ["updated_at"] = "2026-08-01T10:00:01Z", ["tags"] = Array.Empty<string>(), ["self"] = $"/v2/images/{id}", ["file"] = $"/v2/images/{id}/file",
            ["schema"] = "/v2/schemas/image", ["block_device_mapping"] = Mapping, ["bdm_v2"] = "True", ["root_device_name"] = "/dev/vda", ["note"] = "ünï",
        };
        var shown = new SortedDictionary<string, JsonElement>(image.EnumerateObject().ToDictionary(p => p.Name, p => p.Value), StringComparer.Ordinal);
        Assert.Equal(JsonSerializer.Serialize(expected), JsonSerializer.Serialize(shown));
    }

    [Fact]
    public async Task An_image_that_is_not_there_or_not_ones_own_is_404()
    {
        var id = await AddImageAsync("mine");
        (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.OtherMember)).IsImageFault(404, "Not Found", $"No image found with ID {id}");
        (await api.GetAsync("/image/v2/images/no-uuid", api.Tokens.Member)).IsImageFault(404, "Not Found", "No image found with ID no-uuid");
        Assert.Equal(HttpStatusCode.OK, (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Admin)).Status);
    }

    [Fact]
    public async Task Images_are_listed_25_at_a_time_with_a_link_to_the_rest()
    {
        for (var i = 0; i < 26; i++)
        {
            await AddImageAsync($"image-{i:00}", createdAt: Given.Now.AddMinutes(i));
        }

        var first = (await api.GetAsync("/image/v2/images", api.Tokens.Reader)).Json;
        Assert.Equal(25, first.GetProperty("images").GetArrayLength());
        Assert.Equal("image-25", first.GetProperty("images")[0].GetProperty("name").GetString());
        Assert.Equal("/v2/schemas/images", first.GetProperty("schema").GetString());
        Assert.Equal("/v2/images", first.GetProperty("first").GetString());
        var second = (await api.GetAsync("/image" + first.GetProperty("next").GetString(), api.Tokens.Reader)).Json;
        Assert.Equal("image-00", Assert.Single(second.GetProperty("images").EnumerateArray()).GetProperty("name").GetString());
        Assert.False(second.TryGetProperty("next", out _));
    }

    [Fact]
    public async Task Images_are_found_by_name_status_visibility_and_property()
    {
        await AddImageAsync("red", new() { ["colour"] = "red" });
        await AddImageAsync("blue", new() { ["colour"] = "blue" });
        await AddImageAsync("queued one", active: false);
        Assert.Equal(["red"], await NamesAsync("name=red"));
        Assert.Equal(["blue"], await NamesAsync("colour=blue"));
        Assert.Equal(["queued one"], await NamesAsync("status=queued"));
        Assert.Equal(3, (await NamesAsync("visibility=private")).Count);
        Assert.Empty(await NamesAsync("visibility=public"));
        Assert.Empty(await NamesAsync("os_hidden=true"));
        Assert.Equal(3, (await NamesAsync("sort=created_at:desc")).Count);
        foreach (var bad in new[] { "visibility=secret", "limit=ten", "limit=-1", "marker=x", $"marker={Guid.NewGuid()}", "sort_key=colour", "sort_dir=up", "changes-since=2020", "os_hidden=perhaps" })
        {
            Assert.Equal(HttpStatusCode.BadRequest, (await api.GetAsync("/image/v2/images?" + bad, api.Tokens.Reader)).Status);
        }
    }

    [Fact]
    public async Task A_volume_snapshot_has_what_its_microversion_knows()
    {
        var snapshot = await AddSnapshotAsync("snapshot for snap");
        var path = $"/volume/v3/{api.Tokens.Project}/snapshots";
        string[] summary = ["id", "name", "description", "volume_id", "status", "size", "metadata", "created_at", "updated_at"];
        string[] extended = [.. summary, "os-extended-snapshot-attributes:progress", "os-extended-snapshot-attributes:project_id"];
        Assert.Equal(summary.Order(), Members((await api.GetAsync(path, api.Tokens.Reader, Volume("3.71"))).Json.GetProperty("snapshots")[0]));
        Assert.Equal(extended.Order(), Members((await api.GetAsync($"{path}/{snapshot.Id}", api.Tokens.Reader)).Json.GetProperty("snapshot")));
        Assert.Equal(extended.Append("group_snapshot_id").Order(), Members((await api.GetAsync($"{path}/detail", api.Tokens.Reader, Volume("3.14"))).Json.GetProperty("snapshots")[0]));
        var newest = (await api.GetAsync($"{path}/{snapshot.Id}", api.Tokens.Reader, Volume("3.65"))).Json.GetProperty("snapshot");
        Assert.Equal([.. extended.Concat(["group_snapshot_id", "user_id", "consumes_quota"]).Order()], Members(newest));
        Assert.Equal(("creating", 10, "0%", "2026-08-01T10:00:00.000000", JsonValueKind.Null), (
            newest.GetProperty("status").GetString(), newest.GetProperty("size").GetInt32(), newest.GetProperty("os-extended-snapshot-attributes:progress").GetString(),
            newest.GetProperty("created_at").GetString(), newest.GetProperty("updated_at").ValueKind));
    }

    [Fact]
    public async Task Volume_snapshots_are_listed_page_by_page_filtered_and_only_ones_own()
    {
        var one = await AddSnapshotAsync("one");
        await AddSnapshotAsync("two");
        await AddSnapshotAsync("three");
        var path = $"/volume/v3/{api.Tokens.Project}/snapshots";
        Assert.Equal(3, (await AllPagesAsync($"{path}?limit=2", "snapshots", "snapshots_links", api.Tokens.Reader)).Count);
        Assert.Equal("one", Assert.Single(await AllPagesAsync($"{path}/detail?name=one", "snapshots", "snapshots_links", api.Tokens.Reader)).GetProperty("name").GetString());
        Assert.Single(await AllPagesAsync($"{path}?volume_id={one.VolumeId}", "snapshots", "snapshots_links", api.Tokens.Reader));
        Assert.Empty(await AllPagesAsync($"{path}?volume_id=none", "snapshots", "snapshots_links", api.Tokens.Reader));
        Assert.Empty(await AllPagesAsync($"{path}?status=available", "snapshots", "snapshots_links", api.Tokens.Reader));
        Assert.Empty(await AllPagesAsync($"{path}?limit=0", "snapshots", "snapshots_links", api.Tokens.Reader));
        (await api.GetAsync($"{path}?marker={Guid.NewGuid()}", api.Tokens.Reader)).IsFault(404, "itemNotFound");
        (await api.GetAsync($"{path}?colour=red", api.Tokens.Reader, Volume("3.31"))).IsFault(400, "badRequest");
        Assert.Equal(3, (await AllPagesAsync($"{path}?colour=red", "snapshots", "snapshots_links", api.Tokens.Reader)).Count);

        (await api.GetAsync($"/volume/v3/{api.Tokens.OtherProject}/snapshots/{one.Id}", api.Tokens.OtherMember)).IsFault(404, "itemNotFound", $"Snapshot {one.Id} could not be found.");
        (await api.GetAsync(path, api.Tokens.OtherMember)).IsFault(400, "badRequest");
    }

    [Fact]
    public async Task A_finished_run_is_shown_from_its_record_with_durations_in_milliseconds()
    {
        var run = await AddRunAsync(api.Tokens.Project, RunStatus.Completed);
        var view = (await api.GetAsync($"/runs/{run.ImageId}", api.Tokens.Reader)).Json;
        Assert.Equal(("completed", false, 3000), (view.GetProperty("status").GetString(), view.GetProperty("live").GetBoolean(), view.GetProperty("duration_ms").GetDouble()));
        var evidence = view.GetProperty("evidence");
        Assert.Equal(("application", 250, 12.5), (evidence.GetProperty("consistency").GetString(), evidence.GetProperty("freeze_ms").GetDouble(), evidence.GetProperty("cut_skew_ms").GetDouble()));
        var step = view.GetProperty("steps")[0];
        Assert.Equal(("Quiesce", "2026-08-01T10:00:01.000Z", 250), (step.GetProperty("step").GetString(), step.GetProperty("started_at").GetString(), step.GetProperty("duration_ms").GetDouble()));
        Assert.Equal($"{api.Url}image/v2/images/{run.ImageId}", view.GetProperty("links")[1].GetProperty("href").GetString());
    }

    [Fact]
    public async Task A_run_of_another_project_is_404_to_read_and_to_cancel()
    {
        var run = await AddRunAsync(api.Tokens.OtherProject, RunStatus.Failed);
        (await api.GetAsync($"/runs/{run.ImageId}", api.Tokens.Member)).IsFault(404, "itemNotFound", $"Run {run.ImageId} could not be found.");
        (await api.PostAsync($"/runs/{run.ImageId}/cancel", api.Tokens.Member, new { })).IsFault(404, "itemNotFound", $"Run {run.ImageId} could not be found.");
        (await api.GetAsync("/runs/x", api.Tokens.Member)).IsFault(404, "itemNotFound", "Run x could not be found.");
        Assert.Equal(HttpStatusCode.OK, (await api.GetAsync($"/runs/{run.ImageId}", api.Tokens.Admin)).Status);
    }

    [Fact]
    public async Task A_run_that_is_over_cannot_be_cancelled_and_a_reader_cancels_nothing()
    {
        var run = await AddRunAsync(api.Tokens.Project, RunStatus.Completed);
        (await api.PostAsync($"/runs/{run.ImageId}/cancel", api.Tokens.Reader, new { })).IsFault(403, "forbidden", "Policy doesn't allow snapshotflow:runs:cancel to be performed.");
        (await api.PostAsync($"/runs/{run.ImageId}/cancel", api.Tokens.Member, new { })).IsFault(409, "conflictingRequest");
    }

    [Fact]
    public async Task Runs_are_listed_page_by_page_by_status_and_everywhere_for_administrators_only()
    {
        for (var i = 0; i < 3; i++)
        {
            await AddRunAsync(api.Tokens.Project, RunStatus.Completed, Given.Now.AddMinutes(i));
        }

        await AddRunAsync(api.Tokens.Project, RunStatus.Failed, Given.Now.AddHours(1));
        await AddRunAsync(api.Tokens.OtherProject, RunStatus.Completed);
        Assert.Equal(4, (await AllPagesAsync("/runs?limit=3", "runs", "runs_links", api.Tokens.Reader)).Count);
        Assert.Equal(3, (await AllPagesAsync("/runs?status=completed&limit=2", "runs", "runs_links", api.Tokens.Reader)).Count);
        Assert.Equal(5, OfThisTest(await AllPagesAsync("/runs?all_projects=1", "runs", "runs_links", api.Tokens.Admin), "project_id"));
        (await api.GetAsync("/runs?all_projects=1", api.Tokens.Member)).IsFault(403, "forbidden");
        (await api.GetAsync("/runs?status=lost", api.Tokens.Member)).IsFault(400, "badRequest");
        (await api.GetAsync("/runs?state=failed", api.Tokens.Member)).IsFault(400, "badRequest", "Unknown query parameter 'state'. Known are status, all_projects, limit, marker");
        (await api.GetAsync($"/runs?marker={Guid.NewGuid()}", api.Tokens.Member)).IsFault(400, "badRequest");
    }

    [Fact]
    public async Task A_run_whose_workflow_does_not_answer_is_shown_from_its_record()
    {
        var run = Given.Run(api.Tokens.Project);
        Assert.True(await api.Service<Database>().WriteAsync(s => api.Service<RunStore>().OpenAsync(s, run), TestContext.Current.CancellationToken));
        var view = (await api.GetAsync($"/runs/{run.ImageId}", api.Tokens.Reader)).Json;
        Assert.Equal(("running", false, JsonValueKind.Null), (view.GetProperty("status").GetString(), view.GetProperty("live").GetBoolean(), view.GetProperty("duration_ms").ValueKind));
        (await api.PostAsync($"/runs/{run.ImageId}/cancel", api.Tokens.Member, new { })).IsFault(503, "serviceUnavailable");
    }

    private static (string, string) Volume(string version) => ("OpenStack-API-Version", $"volume {version}");

    /// <summary>How many of every project's belong to those of this test.</summary>
    private int OfThisTest(IEnumerable<JsonElement> rows, string project) =>
        rows.Count(r => r.GetProperty(project).GetString() is { } owner && (owner == api.Tokens.Project || owner == api.Tokens.OtherProject));

    private static IEnumerable<string> Members(JsonElement element) => element.EnumerateObject().Select(m => m.Name).Order();

    private async Task<List<string?>> NamesAsync(string query) =>
        [.. (await api.GetAsync("/image/v2/images?" + query, api.Tokens.Reader)).Json.GetProperty("images").EnumerateArray().Select(i => i.GetProperty("name").GetString())];

    /// <summary>Follows the links; no page may repeat what another has shown.</summary>
    private async Task<List<JsonElement>> AllPagesAsync(string path, string items, string links, string token)
    {
        var all = new List<JsonElement>();
        for (var next = path; next is not null;)
        {
            var answer = await api.GetAsync(next, token);
            Assert.Equal(HttpStatusCode.OK, answer.Status);
            all.AddRange(answer.Json.GetProperty(items).EnumerateArray());
            next = answer.Json.TryGetProperty(links, out var more) ? new Uri(more[0].GetProperty("href").GetString()!).PathAndQuery : null;
        }

        Assert.Equal(all.Count, all.Select(i => (i.TryGetProperty("id", out var id) ? id : i.GetProperty("image_id")).GetString()).Distinct().Count());
        return all;
    }

    private async Task<ImageId> AddImageAsync(string name, Dictionary<string, string>? properties = null, bool active = true, DateTimeOffset? createdAt = null)
    {
        var (id, now) = (ImageId.New(), createdAt ?? Given.Now);
        await api.Service<Database>().WriteAsync(
            async s =>
            {
                await api.Service<ImageStore>().AddQueuedAsync(s, id, Given.Draft(api.Tokens.Project, name), now);
                if (active)
                {
                    Assert.True(await api.Service<ImageStore>().ActivateAsync(s, id, properties ?? [], null, now.AddSeconds(1)));
                }
            },
            TestContext.Current.CancellationToken);
        return id;
    }

    private async Task<Snapshot> AddSnapshotAsync(string name)
    {
        var server = await api.RegisterServerAsync();
        var devices = await api.Service<ServerStore>().BlockDevicesAsync(server.Id, TestContext.Current.CancellationToken);
        var snapshot = Given.Snapshot(Given.Volume(api.Tokens.Project) with { Id = devices[0].VolumeId!.Value }) with { Name = name };
        await api.Service<Database>().WriteAsync(s => api.Service<SnapshotStore>().AddAsync(s, [snapshot]), TestContext.Current.CancellationToken);
        return snapshot;
    }

    private async Task<RunRecord> AddRunAsync(string project, RunStatus status, DateTimeOffset? startedAt = null)
    {
        var run = Given.Run(project, startedAt: startedAt);
        VolumeCut Cut(double at) => new(
            VolumeId.New(), SnapshotId.New(), run.StartedAt.AddSeconds(1), run.StartedAt.AddSeconds(1).AddMilliseconds(at), run.StartedAt.AddSeconds(1.1), 1 << 30, PointInTime: true);
        var evidence = new Evidence(Consistency.Application, null, run.StartedAt.AddSeconds(1), run.StartedAt.AddSeconds(1.25), LeaseExpired: false, [Cut(50), Cut(62.5)]);
        var step = new RunStep(Step.Quiesce, null, null, run.StartedAt.AddSeconds(1), run.StartedAt.AddSeconds(1.25), null);
        var reason = status is RunStatus.Completed ? null : new Refusal(ErrorKind.BackendRefused, "no space");
        await api.Service<Database>().WriteAsync(
            async s =>
            {
                Assert.True(await api.Service<RunStore>().OpenAsync(s, run));
                Assert.True(await api.Service<RunStore>().CloseAsync(s, run.ImageId, run.RequestId, status, reason, evidence, [step], [], run.StartedAt.AddSeconds(3)));
            },
            TestContext.Current.CancellationToken);
        return run;
    }
}
