using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Store;

public sealed class Registering : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;

    public Registering(StoreDatabase db)
    {
        this.db = db;
        db.Require();
    }

    [Fact]
    public async Task A_registered_server_reads_back_with_its_volumes_and_block_devices()
    {
        var project = Given.Project();
        var server = Given.Server(project);
        var root = Given.Volume(project, bootable: true);
        var data = Given.Volume(project, sizeGib: 30, type: "fast");
        await db.Servers.RegisterAsync(Given.Registration(server, root, data), Given.Now, None);

        var found = await db.Servers.FindAsync(server.Id, None);
        Assert.NotNull(found);
        Assert.Equal(server.SystemMetadata, found.SystemMetadata);
        Assert.Equal(server with { SystemMetadata = found.SystemMetadata, CreatedAt = Given.Now }, found);
        var volume = (await db.Volumes.FindAsync(root.Id, None))!;
        Assert.Equal(root.Metadata, volume.Metadata);
        Assert.Equal(root with { Metadata = volume.Metadata, CreatedAt = Given.Now }, volume);
        Assert.Equal("debian", (await db.Volumes.GlanceMetadataAsync(root.Id, None))["image_name"]);
        Assert.Equal([root.Id, data.Id], (await db.Servers.BlockDevicesAsync(server.Id, None)).Select(d => d.VolumeId!.Value));
    }

    [Fact]
    public async Task Registering_twice_changes_nothing_but_what_differs()
    {
        var project = Given.Project();
        var server = Given.Server(project);
        var volume = Given.Volume(project);
        await db.Servers.RegisterAsync(Given.Registration(server, volume), Given.Now, None);
        await db.Servers.RegisterAsync(Given.Registration(server with { VmState = VmState.Stopped }, volume with { SizeGib = 40 }), Given.Now.AddHours(1), None);

        Assert.Equal(VmState.Stopped, (await db.Servers.FindAsync(server.Id, None))!.VmState);
        Assert.Equal(40, (await db.Volumes.FindAsync(volume.Id, None))!.SizeGib);
        Assert.Single(await db.Servers.BlockDevicesAsync(server.Id, None));
    }

    [Fact]
    public async Task Registering_leaves_the_task_state_that_a_run_holds()
    {
        var project = Given.Project();
        var server = Given.Server(project);
        var image = ImageId.New();
        await db.Servers.RegisterAsync(Given.Registration(server, Given.Volume(project)), Given.Now, None);
        Assert.True(await db.Database.WriteAsync(s => db.Servers.TakeTaskStateAsync(s, server.Id, image, Given.Now), None));
        await db.Servers.RegisterAsync(Given.Registration(server, Given.Volume(project)), Given.Now, None);

        var found = await db.Servers.FindAsync(server.Id, None);
        Assert.Equal((TaskState.ImageSnapshot, (ImageId?)image), (found!.TaskState, found.TaskImage));
    }

    [Fact]
    public async Task A_server_with_another_projects_volume_is_refused_and_leaves_nothing()
    {
        var project = Given.Project();
        var server = Given.Server(project);
        var e = await Assert.ThrowsAsync<SnapshotFlowException>(
            () => db.Servers.RegisterAsync(Given.Registration(server, Given.Volume(Given.Project())), Given.Now, None));
        Assert.Equal(ErrorKind.InvalidRequest, e.Kind);
        Assert.Null(await db.Servers.FindAsync(server.Id, None));
    }

    [Fact]
    public async Task A_server_cannot_change_its_project_nor_can_a_volume()
    {
        var (project, other) = (Given.Project(), Given.Project());
        var server = Given.Server(project);
        var volume = Given.Volume(project);
        await db.Servers.RegisterAsync(Given.Registration(server, volume), Given.Now, None);

        var moved = await Assert.ThrowsAsync<SnapshotFlowException>(
            () => db.Servers.RegisterAsync(Given.Registration(server with { ProjectId = other }, volume with { ProjectId = other }), Given.Now, None));
        var stolen = await Assert.ThrowsAsync<SnapshotFlowException>(
            () => db.Servers.RegisterAsync(Given.Registration(Given.Server(other), volume with { ProjectId = other }), Given.Now, None));
        Assert.Equal((ErrorKind.InvalidRequest, ErrorKind.InvalidRequest), (moved.Kind, stolen.Kind));
        Assert.Equal(project, (await db.Volumes.FindAsync(volume.Id, None))!.ProjectId);
    }

    [Fact]
    public async Task A_project_sees_its_own_servers_and_volumes_and_an_administrator_sees_all()
    {
        var (project, other) = (Given.Project(), Given.Project());
        var server = Given.Server(project);
        var volume = Given.Volume(project);
        await db.Servers.RegisterAsync(Given.Registration(server, volume), Given.Now, None);

        Assert.NotNull(await db.Servers.FindVisibleAsync(server.Id, Given.Member(project), None));
        Assert.NotNull(await db.Servers.FindVisibleAsync(server.Id, Given.Admin(), None));
        Assert.Null(await db.Servers.FindVisibleAsync(server.Id, Given.Member(other), None));
        Assert.NotNull(await db.Volumes.FindVisibleAsync(volume.Id, Given.Admin(), None));
        Assert.Null(await db.Volumes.FindVisibleAsync(volume.Id, Given.Member(other), None));
        Assert.Equal([server.Id], (await db.Servers.ListAsync(project, new Page(10), None)).Select(s => s.Id));
        Assert.Equal([volume.Id], (await db.Volumes.ListAsync(project, new(), new Page(10), None)).Select(v => v.Id));
        Assert.Empty(await db.Servers.ListAsync(other, new Page(10), None));
    }
}
