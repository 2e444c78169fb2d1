using System.Net;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>Lists of volumes as Block Storage gives them: which, in which order, how many, page by page.</summary>
public sealed class ListingVolumes(ListingVolumes.Projects three) : IClassFixture<ListingVolumes.Projects>
{
    private readonly ApiUnderTest api = three.Api;

    private string Volumes => $"/volume/v3/{api.Tokens.Project}/volumes";

    private string AdminVolumes => $"/volume/v3/{api.Tokens.AdminProject}/volumes";

    [Theory]
    [InlineData("", "3.0", "c a b")]
    [InlineData("?sort=created_at:asc", "3.0", "b a c")]
    [InlineData("?sort=name:asc", "3.0", "a b c")]
    [InlineData("?sort_key=display_name&sort_dir=desc", "3.0", "c b a")]
    [InlineData("?sort=size:asc", "3.0", "c b a")]
    [InlineData("?sort=status:asc,size:desc", "3.0", "a b c")]
    [InlineData("?sort=bootable:desc,name:asc", "3.0", "b a c")]
    [InlineData("?sort=availability_zone:asc,name", "3.0", "c b a")]
    [InlineData("?sort_key=created_at&sort_dir=asc&limit=2", "3.0", "b a")]
    [InlineData("?sort=name:asc&limit=1&offset=1", "3.0", "b")]
    [InlineData("?limit=0", "3.0", "")]
    [InlineData("?offset=99999999999", "3.0", "")]
    [InlineData("?name=a", "3.0", "a")]
    [InlineData("?status=available", "3.0", "a")]
    [InlineData("?bootable=true", "3.2", "b")]
    [InlineData("?bootable=0", "3.2", "c a")]
    [InlineData("?bootable=0", "3.1", "b")]
    [InlineData("?size=20", "3.0", "a")]
    [InlineData("?availability_zone=west", "3.0", "a")]
    [InlineData("?migration_status=none", "3.0", "c b")]
    [InlineData("?migration_status=None", "3.0", "c b")]
    [InlineData("?migration_status=success", "3.0", "a")]
    [InlineData("?metadata={'colour': 'red'}", "3.0", "a")]
    [InlineData("?metadata={\"colour\": \"blue\"}", "3.0", "")]
    [InlineData("?glance_metadata={'image_name': 'debian'}", "3.4", "b")]
    [InlineData("?glance_metadata={'image_name': 'debian'}", "3.3", "c a b")]
    [InlineData("?group_id=11111111-2222-3333-4444-555555555555", "3.10", "")]
    [InlineData("?name~=a", "3.34", "a")]
    [InlineData("?name~=a", "3.30", "c a b")]
    [InlineData("?status~=use", "3.34", "c b")]
    [InlineData("?created_at=gt:2026-08-01T10:00:00Z", "3.60", "c a")]
    [InlineData("?created_at=gte:2026-08-01T10:00:00Z,lt:2026-08-01T10:02:00Z", "3.60", "a b")]
    [InlineData("?created_at=2026-08-01T10:00:00Z", "3.60", "b")]
    [InlineData("?created_at=gt:2026-08-01T10:00:00Z", "3.59", "c a b")]
    [InlineData("?consumes_quota=true", "3.65", "c a b")]
    [InlineData("?consumes_quota=false", "3.65", "")]
    [InlineData("?colour=red", "3.30", "c a b")]
    [InlineData("?all_tenants=1", "3.60", "c a b")]
    [InlineData("?project_id=another", "3.60", "c a b")]
    [InlineData("?host=host1", "3.30", "c a b")]
    public async Task Volumes_are_sorted_filtered_and_paged_as_their_microversion_does(string query, string version, string names) =>
        Assert.Equal(names, NamesOf(await GetAsync(query, version)));

    [Theory]
    [InlineData("?sort_key=colour", "3.0")]
    [InlineData("?sort=host:asc", "3.0")]
    [InlineData("?sort=id:up", "3.0")]
    [InlineData("?sort=id&sort_key=id", "3.0")]
    [InlineData("?limit=-1", "3.0")]
    [InlineData("?limit=x", "3.0")]
    [InlineData("?offset=x", "3.0")]
    [InlineData("?size=x", "3.0")]
    [InlineData("?bootable=perhaps", "3.2")]
    [InlineData("?metadata=red", "3.0")]
    [InlineData("?glance_metadata=red", "3.4")]
    [InlineData("?created_at=yesterday", "3.60")]
    [InlineData("?created_at=before:2026-08-01T10:00:00Z", "3.60")]
    [InlineData("?colour=red", "3.31")]
    [InlineData("?name~=a", "3.33")]
    [InlineData("?host=host1", "3.31")]
    [InlineData("?with_count=perhaps", "3.45")]
    public async Task What_a_list_cannot_be_asked_is_400(string query, string version) => (await GetAsync(query, version)).IsFault(400, "badRequest");

    [Fact]
    public async Task Pages_join_to_the_whole_list_and_say_how_many_there_are()
    {
        var first = (await GetAsync("?sort=name:asc&limit=2&with_count=true", "3.45")).Json;
        Assert.Equal(3, first.GetProperty("count").GetInt32());
        var next = new Uri(first.GetProperty("volumes_links")[0].GetProperty("href").GetString()!);
        var second = (await api.GetAsync(next.PathAndQuery, api.Tokens.Reader, Version("3.45"))).Json;
        Assert.Equal(["a", "b", "c"], first.GetProperty("volumes").EnumerateArray().Concat(second.GetProperty("volumes").EnumerateArray()).Select(v => v.GetProperty("name").GetString()));
        Assert.False(second.TryGetProperty("volumes_links", out _));
        Assert.Equal(1, (await GetAsync("?status=available&limit=0&with_count=1", "3.45")).Json.GetProperty("count").GetInt32());
        Assert.Equal(0, (await GetAsync("?group_id=x&with_count=1", "3.45")).Json.GetProperty("count").GetInt32());
        Assert.False((await GetAsync("?with_count=true", "3.44")).Json.TryGetProperty("count", out _));
        Assert.False((await GetAsync("?with_count=false", "3.45")).Json.TryGetProperty("count", out _));
        var missing = Guid.NewGuid();
        (await GetAsync($"?marker={missing}", "3.0")).IsFault(404, "itemNotFound");
        (await GetAsync("?marker=x", "3.0")).IsFault(404, "itemNotFound", "Volume x could not be found.");
        (await GetAsync($"?marker={three.Foreign}", "3.0")).IsFault(404, "itemNotFound");
        // The detailed list pages and counts alike.
        var detail = (await api.GetAsync($"{Volumes}/detail?limit=1&with_count=true", api.Tokens.Reader, Version("3.45"))).Json;
        Assert.Equal((1, 3, "in-use"), (detail.GetProperty("volumes").GetArrayLength(), detail.GetProperty("count").GetInt32(), detail.GetProperty("volumes")[0].GetProperty("status").GetString()));
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("?all_tenants=1&sort=name:asc", "a b c foreign")]
    [InlineData("?all_tenants=1&project_id=PROJECT&sort=name:asc", "a b c")]
    [InlineData("?project_id=PROJECT", "")]
    [InlineData("?all_tenants=0", "")]
    [InlineData("?all_tenants=1&user_id=user-2", "foreign")]
    [InlineData("?all_tenants=1&host=host2@rbd", "foreign")]
    [InlineData("?all_tenants=1&host=host2", "foreign")]
    [InlineData("?all_tenants=1&host=host", "")]
    [InlineData("?all_tenants=1&sort=host:desc&limit=1", "foreign")]
    [InlineData("?all_tenants=1&display_name=a", "a")]
    [InlineData("?all_tenants=1&id=FOREIGN", "foreign")]
    [InlineData("?all_tenants=1&id=x", "")]
    [InlineData("?all_tenants=1&multiattach=true", "foreign")]
    [InlineData("?all_tenants=1&volume_type_id=TYPE", "foreign")]
    [InlineData("?all_tenants=1&colour=red", "")]
    public async Task An_administrator_looks_into_every_project_and_asks_for_more(string query, string names)
    {
        query = query.Replace("PROJECT", api.Tokens.Project, StringComparison.Ordinal).Replace("FOREIGN", three.Foreign.ToString(), StringComparison.Ordinal)
            .Replace("TYPE", three.Type.ToString(), StringComparison.Ordinal);
        Assert.Equal(names, NamesOf(await api.GetAsync(AdminVolumes + query, api.Tokens.Admin, Version("3.60"))));
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("?all_tenants=1&sort=name:asc", "of-a of-foreign")]
    [InlineData("?all_tenants=1&project_id=PROJECT", "of-a")]
    [InlineData("?all_tenants=1&host=host2@rbd", "of-foreign")]
    [InlineData("?all_tenants=1&host=host2", "of-foreign")]
    [InlineData("?all_tenants=1&user_id=user-2", "")]
    [InlineData("?all_tenants=1&volume_size=20", "of-a")]
    [InlineData("?all_tenants=1&display_name=of-a", "of-a")]
    [InlineData("?all_tenants=1&volume_type_id=TYPE", "of-foreign")]
    [InlineData("?all_tenants=1&colour=red", "")]
    public async Task An_administrator_looks_into_every_projects_snapshots_and_asks_for_more(string query, string names)
    {
        query = query.Replace("PROJECT", api.Tokens.Project, StringComparison.Ordinal).Replace("TYPE", three.Type.ToString(), StringComparison.Ordinal);
        Assert.Equal(names, NamesOf(await api.GetAsync($"/volume/v3/{api.Tokens.AdminProject}/snapshots{query}", api.Tokens.Admin, Version("3.60")), "snapshots"));
    }

    [Fact]
    public async Task For_who_is_no_administrator_the_same_questions_mean_nothing_or_are_refused()
    {
        var path = $"/volume/v3/{api.Tokens.Project}/snapshots";
        Assert.Equal("of-a", NamesOf(await api.GetAsync(path + "?all_tenants=1&host=host2&project_id=" + api.Tokens.OtherProject, api.Tokens.Reader, Version("3.30")), "snapshots"));
        (await api.GetAsync(path + "?host=host2", api.Tokens.Reader, Version("3.31"))).IsFault(400, "badRequest");
    }

    [Theory]
    [InlineData("", "3.12", """{"total_count":3,"total_size":35}""")]
    [InlineData("", "3.35", """{"total_count":3,"total_size":35}""")]
    [InlineData("", "3.36", """{"total_count":3,"total_size":35,"metadata":{"colour":["red"],"shape":["round","square"]}}""")]
    [InlineData("?all_tenants=1", "3.36", """{"total_count":3,"total_size":35,"metadata":{"colour":["red"],"shape":["round","square"]}}""")]
    [InlineData("?status=available&limit=1", "3.12", """{"total_count":3,"total_size":35}""")]
    public async Task A_summary_is_of_all_of_ones_own_volumes_whatever_else_is_asked(string query, string version, string summary) =>
        Assert.Equal($$"""{"volume-summary":{{summary}}}""", (await GetAsync("/summary" + query, version)).Text);

    [Theory]
    [InlineData("", """{"total_count":0,"total_size":0,"metadata":{}}""")]
    [InlineData("?all_tenants=0", """{"total_count":0,"total_size":0,"metadata":{}}""")]
    [InlineData("?all_tenants=1", """{"total_count":4,"total_size":45,"metadata":{"colour":["green","red"],"shape":["round","square"]}}""")]
    public async Task An_administrators_summary_is_of_every_project_when_that_is_asked(string query, string summary) =>
        Assert.Equal($$"""{"volume-summary":{{summary}}}""", (await api.GetAsync($"{AdminVolumes}/summary{query}", api.Tokens.Admin, Version("3.36"))).Text);

    [Fact]
    public async Task There_is_no_summary_before_3_12_and_none_of_a_switch_that_is_none()
    {
        (await GetAsync("/summary", "3.11")).IsFault(404, "itemNotFound", "API version 3.11 is not supported on this method.");
        (await GetAsync("/summary?all_tenants=perhaps", "3.12")).IsFault(400, "badRequest");
        Assert.Equal(HttpStatusCode.OK, (await api.GetAsync("/volume/v3/volumes/summary", api.Tokens.Reader, Version("3.67"))).Status);
    }

    private static (string, string) Version(string version) => ("OpenStack-API-Version", $"volume {version}");

    private Task<Answer> GetAsync(string query, string version) => api.GetAsync(Volumes + query, api.Tokens.Reader, Version(version));

    private static string NamesOf(Answer answer, string noun = "volumes")
    {
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
        return string.Join(' ', answer.Json.GetProperty(noun).EnumerateArray().Select(v => v.GetProperty("name").GetString()));
    }

    /// <summary>Three volumes of the member's project, made one minute after the other in the order b, a, c; one of another project's; a snapshot of one of each.</summary>
    public sealed class Projects(PrivatePostgres postgres) : IAsyncLifetime
    {
        public ApiUnderTest Api { get; private set; } = null!;

        public VolumeId Foreign { get; private set; }

        public Guid Type { get; } = Guid.NewGuid();

        public async ValueTask InitializeAsync()
        {
            Api = await ApiUnderTest.StartAsync(await postgres.CreateDatabaseAsync(migrated: true));
            var ct = CancellationToken.None;
            await Api.Service<InventoryStore>().RegisterAsync(new([new VolumeType { Id = Type, Name = "shared" }], [], [], []), Given.Now, ct);
            var project = Api.Tokens.Project;
            var a = Given.Volume(project, sizeGib: 20) with { Name = "a", Status = "available", AvailabilityZone = "west", MigrationStatus = "success" };
            var foreign = Given.Volume(Api.Tokens.OtherProject, type: "shared") with { Name = "foreign", UserId = "user-2", Backend = "host2@rbd", Multiattach = true };
            Foreign = foreign.Id;
            await RegisterAsync(0, Given.Volume(project, bootable: true) with { Name = "b" });
            await RegisterAsync(1, a);
            var c = Given.Volume(project, sizeGib: 5) with { Name = "c" };
            await RegisterAsync(2, c);
            await RegisterAsync(3, foreign);
            await Api.Service<Database>().WriteAsync(
                async s =>
                {
                    await Api.Service<VolumeStore>().DescribeAsync(s, a.Id, null, null, new Dictionary<string, string> { ["colour"] = "red", ["shape"] = "round" }, Given.Now);
                    await Api.Service<VolumeStore>().DescribeAsync(s, c.Id, null, null, new Dictionary<string, string> { ["shape"] = "square" }, Given.Now);
                    await Api.Service<VolumeStore>().DescribeAsync(s, foreign.Id, null, null, new Dictionary<string, string> { ["colour"] = "green" }, Given.Now);
                    await Api.Service<SnapshotStore>().AddAsync(s, [Given.Snapshot(a) with { Name = "of-a" }, Given.Snapshot(foreign) with { Name = "of-foreign" }]);
                },
                ct);

            async Task RegisterAsync(int minute, Volume volume) =>
                await Api.Service<ServerStore>().RegisterAsync(Given.Registration(Given.Server(volume.ProjectId), volume), Given.Now.AddMinutes(minute), ct);
        }

        public ValueTask DisposeAsync() => Api.DisposeAsync();
    }
}
