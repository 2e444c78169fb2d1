using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Store;

public sealed class Listing : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;

    public Listing(StoreDatabase db)
    {
        this.db = db;
        db.Require();
    }

    [Fact]
    public async Task Pages_of_snapshots_join_to_the_whole_list_newest_first()
    {
        var project = Given.Project();
        var volume = Given.Volume(project);
        await db.Servers.RegisterAsync(Given.Registration(Given.Server(project), volume), Given.Now, None);
        // Two of each time, so that the id has to decide.
        var rows = Enumerable.Range(0, 7).Select(i => Given.Snapshot(volume, createdAt: Given.Now.AddSeconds(i / 2))).ToList();
        await db.Database.WriteAsync(s => db.Snapshots.AddAsync(s, rows), None);

        var whole = await db.Snapshots.ListAsync(project, new SnapshotFilter(), new Page(100), None);
        var pages = new List<Snapshot>();
        for (var page = new Page(3); ; page = new Page(3, pages[^1].Id.Value))
        {
            var part = await db.Snapshots.ListAsync(project, new SnapshotFilter(), page, None);
            pages.AddRange(part);
            if (part.Count < 3)
            {
                break;
            }
        }

        Assert.Equal(7, whole.Count);
        Assert.Equal(whole.Select(s => s.Id), pages.Select(s => s.Id));
        Assert.Equal(whole.Select(s => s.CreatedAt).OrderDescending(), whole.Select(s => s.CreatedAt));
        Assert.Empty(await db.Snapshots.ListAsync(project, new SnapshotFilter(), new Page(0), None));
    }

    [Fact]
    public async Task Snapshots_are_filtered_by_name_status_volume_and_image()
    {
        var project = Given.Project();
        var (one, two) = (Given.Volume(project), Given.Volume(project));
        await db.Servers.RegisterAsync(Given.Registration(Given.Server(project), one, two), Given.Now, None);
        var image = ImageId.New();
        var a = Given.Snapshot(one, image) with { Name = "a" };
        var b = Given.Snapshot(two) with { Name = "b", Status = SnapshotStatus.Available };
        await db.Database.WriteAsync(s => db.Snapshots.AddAsync(s, [a, b]), None);

        async Task<IEnumerable<SnapshotId>> Found(SnapshotFilter filter) => (await db.Snapshots.ListAsync(project, filter, new Page(10), None)).Select(s => s.Id);
        Assert.Equal([a.Id], await Found(new SnapshotFilter(Name: "a")));
        Assert.Equal([b.Id], await Found(new SnapshotFilter(Status: "available")));
        Assert.Equal([b.Id], await Found(new SnapshotFilter(Volume: two.Id)));
        Assert.Equal([a.Id], await Found(new SnapshotFilter(Image: image)));
        Assert.Empty(await Found(new SnapshotFilter(Status: "no such status")));
    }

    [Fact]
    public async Task A_snapshot_of_another_project_is_neither_shown_nor_listed_nor_a_marker()
    {
        var (project, other) = (Given.Project(), Given.Project());
        var volume = Given.Volume(project);
        await db.Servers.RegisterAsync(Given.Registration(Given.Server(project), volume), Given.Now, None);
        var row = Given.Snapshot(volume);
        await db.Database.WriteAsync(s => db.Snapshots.AddAsync(s, [row]), None);

        Assert.Null(await db.Snapshots.FindVisibleAsync(row.Id, Given.Member(other), None));
        Assert.NotNull(await db.Snapshots.FindVisibleAsync(row.Id, Given.Member(project), None));
        Assert.NotNull(await db.Snapshots.FindVisibleAsync(row.Id, Given.Admin(), None));
        Assert.Empty(await db.Snapshots.ListAsync(other, new SnapshotFilter(), new Page(10), None));
        Assert.Contains(await db.Snapshots.ListAsync(null, new SnapshotFilter(), new Page(1000), None), s => s.Id == row.Id);
        var e = await Assert.ThrowsAsync<SnapshotFlowException>(() => db.Snapshots.ListAsync(other, new SnapshotFilter(), new Page(10, row.Id.Value), None));
        Assert.Equal(ErrorKind.NotFound, e.Kind);
    }

    [Fact]
    public async Task Runs_are_paged_and_filtered_and_belong_to_who_asked_for_them()
    {
        var (project, other) = (Given.Project(), Given.Project());
        var runs = Enumerable.Range(0, 5).Select(i => Given.Run(project, startedAt: Given.Now.AddSeconds(i))).ToList();
        foreach (var run in runs)
        {
            await db.Database.WriteAsync(s => db.Runs.OpenAsync(s, run), None);
        }

        await db.Database.WriteAsync(
            s => db.Runs.CloseAsync(s, runs[0].ImageId, runs[0].RequestId, RunStatus.Failed, new Refusal(ErrorKind.Busy, "x"), null, [], [], Given.Now), None);
        var first = await db.Runs.ListAsync(project, new RunFilter(), new Page(3), None);
        var second = await db.Runs.ListAsync(project, new RunFilter(), new Page(3, first[^1].ImageId.Value), None);
        Assert.Equal(runs.Select(r => r.ImageId).Reverse(), first.Concat(second).Select(r => r.ImageId));
        Assert.Equal([runs[0].ImageId], (await db.Runs.ListAsync(project, new RunFilter(Status: RunStatus.Failed), new Page(9), None)).Select(r => r.ImageId));
        Assert.Equal([runs[1].ImageId], (await db.Runs.ListAsync(project, new RunFilter(Server: runs[1].ServerId), new Page(9), None)).Select(r => r.ImageId));
        Assert.Empty(await db.Runs.ListAsync(other, new RunFilter(), new Page(9), None));
        Assert.Null(await db.Runs.FindVisibleAsync(runs[0].ImageId, Given.Member(other), None));
        Assert.NotNull(await db.Runs.FindVisibleAsync(runs[0].ImageId, Given.Admin(), None));
        var e = await Assert.ThrowsAsync<SnapshotFlowException>(() => db.Runs.ListAsync(other, new RunFilter(), new Page(9, runs[0].ImageId.Value), None));
        Assert.Equal(ErrorKind.InvalidRequest, e.Kind);
    }

    [Theory]
    [InlineData("private", null, false, false)]
    [InlineData("public", null, true, true)]
    [InlineData("community", null, false, true)]
    [InlineData("shared", null, false, false)]
    [InlineData("shared", "pending", false, true)]
    [InlineData("shared", "accepted", true, true)]
    [InlineData("shared", "rejected", false, true)]
    public async Task Another_project_sees_an_image_by_its_visibility(string visibility, string? membership, bool listed, bool shown)
    {
        var (project, other) = (Given.Project(), Given.Project());
        var image = await ImageAsync(project, visibility: visibility, member: membership is null ? null : other);
        if (membership is not null)
        {
            await db.ScalarAsync($"UPDATE image_members SET status = '{membership}' WHERE image_id = '{image}'");
        }

        Assert.Equal(shown, await db.Images.FindVisibleAsync(image, Given.Member(other), None) is not null);
        Assert.Equal(listed, (await db.Images.ListAsync(Given.Member(other), new ImageFilter(Owner: project), new Page(10), None)).Any(i => i.Id == image));
        Assert.Contains(await db.Images.ListAsync(Given.Member(project), new ImageFilter(Owner: project), new Page(10), None), i => i.Id == image);
        Assert.Contains(await db.Images.ListAsync(Given.Admin(), new ImageFilter(Owner: project), new Page(10), None), i => i.Id == image);
    }

    [Fact]
    public async Task A_community_image_is_listed_when_asked_for()
    {
        var project = Given.Project();
        var image = await ImageAsync(project, visibility: "community");
        foreach (var visibility in new[] { "community", "all" })
        {
            Assert.Contains(
                await db.Images.ListAsync(Given.Member(Given.Project()), new ImageFilter(Owner: project, Visibility: visibility), new Page(10), None), i => i.Id == image);
        }
    }

    [Fact]
    public async Task Images_are_filtered_by_name_status_and_property_and_paged()
    {
        var project = Given.Project();
        var caller = Given.Member(project);
        var a = await ImageAsync(project, "a", at: Given.Now, properties: new() { ["os_distro"] = "debian", ["x"] = "1" });
        var b = await ImageAsync(project, "b", at: Given.Now.AddSeconds(1), properties: new() { ["os_distro"] = "debian" });
        var queued = ImageId.New();
        await db.Database.WriteAsync(s => db.Images.AddQueuedAsync(s, queued, Given.Draft(project, "q"), Given.Now.AddSeconds(2)), None);

        async Task<IEnumerable<ImageId>> Found(ImageFilter filter) => (await db.Images.ListAsync(caller, filter with { Owner = project }, new Page(10), None)).Select(i => i.Id);
        Assert.Equal([a], await Found(new ImageFilter(Name: "a")));
        Assert.Equal([b, a], await Found(new ImageFilter(Status: "active")));
        Assert.Equal([b, a], await Found(new ImageFilter(Properties: new Dictionary<string, string> { ["os_distro"] = "debian" })));
        Assert.Equal([a], await Found(new ImageFilter(Properties: new Dictionary<string, string> { ["os_distro"] = "debian", ["x"] = "1" })));
        Assert.Empty(await Found(new ImageFilter(Hidden: true)));
        var first = await db.Images.ListAsync(caller, new ImageFilter(Owner: project), new Page(2), None);
        var second = await db.Images.ListAsync(caller, new ImageFilter(Owner: project), new Page(2, first[^1].Id.Value), None);
        Assert.Equal([queued, b, a], first.Concat(second).Select(i => i.Id));
        var e = await Assert.ThrowsAsync<SnapshotFlowException>(() => db.Images.ListAsync(caller, new ImageFilter(), new Page(2, Guid.NewGuid()), None));
        Assert.Equal(ErrorKind.InvalidRequest, e.Kind);
    }

    [Fact]
    public async Task An_active_image_without_contents_reads_as_the_image_service_would_show_it()
    {
        var project = Given.Project();
        var id = await ImageAsync(project, properties: new() { ["bdm_v2"] = "True" });
        var image = (await db.Images.FindVisibleAsync(id, Given.Member(project), None))!;
        Assert.Equal((ImageStatus.Active, (long?)0, "raw", "bare", 20), (image.Status, image.SizeBytes, image.DiskFormat, image.ContainerFormat, image.MinDisk));
        Assert.Equal(("d41d8cd98f00b204e9800998ecf8427e", "sha512"), (image.Checksum, image.HashAlgo));
        Assert.StartsWith("cf83e1357eefb8bd", image.HashValue, StringComparison.Ordinal);
        Assert.Equal("True", image.Properties["bdm_v2"]);
    }

    private async Task<ImageId> ImageAsync(
        string project, string name = "snap", string visibility = "private", string? member = null, DateTimeOffset? at = null, Dictionary<string, string>? properties = null)
    {
        var id = ImageId.New();
        var now = at ?? Given.Now;
        await db.Database.WriteAsync(
            async s =>
            {
                await db.Images.AddQueuedAsync(s, id, Given.Draft(project, name, visibility, member), now);
                Assert.True(await db.Images.ActivateAsync(s, id, properties ?? [], member, now));
            },
            None);
        return id;
    }
}
