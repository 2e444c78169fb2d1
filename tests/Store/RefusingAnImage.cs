using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Store;

/// <summary>What is refused before anything is touched: with which kind and which words, and that nothing is left.</summary>
public sealed class RefusingAnImage : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;

    public RefusingAnImage(StoreDatabase db)
    {
        this.db = db;
        db.Require();
    }

    [Fact]
    public async Task A_server_that_is_not_there_could_not_be_found()
    {
        var records = await RecordKeeping.OnAsync(db);
        var unknown = ServerId.New();
        records.Input = records.Input with { Server = unknown };
        await RefusedAsync(records, ErrorKind.NotFound, $"Instance {unknown} could not be found.");
    }

    [Fact]
    public async Task Another_projects_server_could_not_be_found_either()
    {
        var records = await RecordKeeping.OnAsync(db);
        records.Input = records.Input with { Caller = Given.Member(Given.Project()) };
        await RefusedAsync(records, ErrorKind.NotFound, $"Instance {records.Server.Id} could not be found.");
    }

    [Fact]
    public async Task Which_roles_may_is_the_policys_to_say_and_was_asked_before()
    {
        var records = await RecordKeeping.OnAsync(db);
        records.Input = records.Input with { Caller = records.Input.Caller with { Roles = ["backup-operator"] } };
        Assert.Equal(records.Server.ProjectId, (await records.PrepareAsync()).Server.ProjectId);
    }

    [Fact]
    public async Task A_server_whose_root_disk_is_local_is_refused_whatever_data_volumes_it_has()
    {
        var records = await RecordKeeping.OnAsync(db, registration: r => r with
        {
            BlockDevices = [new BlockDevice { SourceType = "image", DestinationType = "local", BootIndex = 0 }, .. r.BlockDevices.Select(d => d with { BootIndex = null })],
        });
        await RefusedAsync(
            records, ErrorKind.StaleStatus, $"Cannot 'createImage' instance {records.Server.Id}: its root disk is not a volume, and only volume-backed servers are supported.");
    }

    [Fact]
    public async Task A_server_without_any_volume_is_refused()
    {
        var records = await RecordKeeping.OnAsync(db, registration: r => r with { BlockDevices = [] });
        await RefusedAsync(records, ErrorKind.StaleStatus, $"Cannot 'createImage' instance {records.Server.Id}: it has no volume to make a snapshot of.");
    }

    [Theory]
    [InlineData(VmState.Building, "building")]
    [InlineData(VmState.Rescued, "rescued")]
    [InlineData(VmState.Resized, "resized")]
    [InlineData(VmState.Error, "error")]
    [InlineData(VmState.SoftDeleted, "soft-delete")]
    [InlineData(VmState.Shelved, "shelved")]
    [InlineData(VmState.ShelvedOffloaded, "shelved_offloaded")]
    public async Task A_server_in_the_wrong_state_is_refused(VmState state, string text)
    {
        var records = await RecordKeeping.OnAsync(db, s => s with { VmState = state });
        await RefusedAsync(records, ErrorKind.StaleStatus, $"Cannot 'createImage' instance {records.Server.Id} while it is in vm_state {text}");
    }

    [Theory]
    [InlineData(VmState.Active, true)]
    [InlineData(VmState.Paused, false)]
    [InlineData(VmState.Suspended, false)]
    [InlineData(VmState.Stopped, false)]
    public async Task A_server_in_a_right_state_is_not_and_only_an_active_one_is_running(VmState state, bool running)
    {
        var records = await RecordKeeping.OnAsync(db, s => s with { VmState = state, Locked = true });
        Assert.Equal(running, (await records.PrepareAsync()).Server.Running);
    }

    [Fact]
    public async Task A_deleted_server_could_not_be_found()
    {
        var records = await RecordKeeping.OnAsync(db, s => s with { VmState = VmState.Deleted });
        var (kind, _) = await RecordKeeping.RefusedAsync(records.PrepareAsync);
        Assert.Equal(ErrorKind.NotFound, kind);
    }

    [Fact]
    public async Task A_server_with_something_else_going_on_is_refused()
    {
        var records = await RecordKeeping.OnAsync(db, s => s with { TaskState = "powering-off" });
        await RefusedAsync(records, ErrorKind.StaleStatus, $"Cannot 'createImage' instance {records.Server.Id} while it is in task_state powering-off");
    }

    [Fact]
    public async Task A_second_image_while_one_is_made_is_refused_and_the_first_goes_on()
    {
        var records = await RecordKeeping.OnAsync(db);
        var first = records.Input;
        var prepared = await records.PrepareAsync();
        records.Input = first with { Image = ImageId.New(), RequestId = "req-2" };
        await RefusedAsync(records, ErrorKind.StaleStatus, $"Cannot 'createImage' instance {records.Server.Id} while it is in task_state image_snapshot");
        await records.ReleaseServerAsync();
        records.Input = first;
        Assert.Equal(first.Image, (await db.Servers.FindAsync(records.Server.Id, None))!.TaskImage);
        await records.CheckQuotaAsync(prepared);
    }

    [Fact]
    public async Task A_server_that_never_ran_is_refused()
    {
        var records = await RecordKeeping.OnAsync(db, s => s with { LaunchedAt = null });
        await RefusedAsync(records, ErrorKind.StaleStatus, $"Instance {records.Server.Id} is in an invalid state for 'createImage'");
    }

    [Fact]
    public async Task A_bad_name_is_refused()
    {
        var records = await RecordKeeping.OnAsync(db);
        records.Input = records.Input with { Name = " snap" };
        await RefusedAsync(
            records, ErrorKind.InvalidRequest, "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace.");
    }

    [Fact]
    public async Task Reserved_metadata_is_refused()
    {
        var records = await RecordKeeping.OnAsync(db);
        records.Input = records.Input with { Metadata = new Dictionary<string, string> { ["os_glance_x"] = "1" } };
        await RefusedAsync(records, ErrorKind.InvalidRequest, "Attribute 'os_glance_x' is reserved: an image says it itself, metadata cannot.");
    }

    [Fact]
    public async Task Inherited_and_given_properties_together_may_not_be_too_many()
    {
        var records = await RecordKeeping.OnAsync(db, s => s with
        {
            SystemMetadata = Enumerable.Range(0, 100).ToDictionary(i => $"image_p{i}", i => (string?)"x"),
        });
        records.Input = records.Input with { Metadata = Enumerable.Range(0, 26).ToDictionary(i => $"q{i}", _ => "x") };
        var (kind, message) = await RecordKeeping.RefusedAsync(records.PrepareAsync);
        Assert.Equal(ErrorKind.InvalidRequest, kind);
        Assert.Contains("Attempted: 129, Maximum: 128", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(61)]
    public async Task A_freeze_deadline_out_of_bounds_is_refused(double seconds)
    {
        var records = await RecordKeeping.OnAsync(db);
        records.Input = records.Input with { FreezeDeadline = TimeSpan.FromSeconds(seconds) };
        await RefusedAsync(records, ErrorKind.InvalidRequest, FormattableString.Invariant($"The freeze deadline must be between 1 and 60 seconds, not {seconds}."));
    }

    [Theory]
    [InlineData("maintenance", null, "host1@file", "The snapshot cannot be created when the volume is in maintenance mode.")]
    [InlineData("in-use", "migrating", "host1@file", "Snapshot cannot be created while volume is migrating.")]
    [InlineData("error", null, "host1@file", "The snapshot cannot be created when the volume is in error status.")]
    [InlineData("replica_error", null, "host1@file", "Snapshot of secondary replica is not allowed.")]
    [InlineData("in-use", null, null, "The snapshot cannot be created because volume has not been scheduled to any host.")]
    [InlineData("detaching", null, "host1@file", "Volume {0} status must be available, in-use, but current status is: detaching.")]
    public async Task A_volume_that_cannot_be_cut_is_refused(string status, string? migration, string? backend, string text)
    {
        var project = Given.Project();
        var volume = Given.Volume(project) with { Status = status, MigrationStatus = migration, Backend = backend };
        var records = await RecordKeeping.OnAsync(db, volumes: [Given.Volume(project), volume]);
        await RefusedAsync(
            records, ErrorKind.InvalidRequest,
            $"Invalid input received: Invalid volume: {text.Replace("{0}", volume.Id.ToString(), StringComparison.Ordinal)} (volume {volume.Id})");
    }

    [Fact]
    public async Task A_volume_that_the_records_do_not_know_could_not_be_found()
    {
        var records = await RecordKeeping.OnAsync(db);
        await db.ScalarAsync($"UPDATE volumes SET deleted_at = now(), status = 'deleted' WHERE id = '{records.Volumes[1].Id}'");
        await RefusedAsync(records, ErrorKind.NotFound, $"Volume {records.Volumes[1].Id} could not be found.");
    }

    [Fact]
    public async Task A_volume_that_is_still_being_attached_is_refused()
    {
        var records = await RecordKeeping.OnAsync(db, registration: r => r with
        {
            BlockDevices = [.. r.BlockDevices, new BlockDevice { SourceType = "volume", DestinationType = "volume", DeviceName = "/dev/vdz" }],
        });
        await RefusedAsync(
            records, ErrorKind.StaleStatus, "Block device /dev/vdz has no volume yet: it is still being attached. Try again when it is.");
    }

    [Fact]
    public async Task Over_quota_is_refused_by_the_name_of_what_is_over_and_leaves_no_trace_on_the_server()
    {
        var records = await RecordKeeping.OnAsync(db);
        await db.Quotas.SetLimitAsync(records.Server.ProjectId, Quota.Gigabytes, 43, None);
        var before = await records.HoldingsAsync();
        const string Over = "Quota exceeded for resources: gigabytes (gigabytes: 22 more, 22 of 43 taken)";
        Assert.Equal((ErrorKind.QuotaExceeded, Over), await RecordKeeping.RefusedAsync(records.PlanAsync));
        var prepared = await records.PrepareAsync();
        Assert.Equal((ErrorKind.QuotaExceeded, Over), await RecordKeeping.RefusedAsync(() => records.CheckQuotaAsync(prepared)));
        await records.ReleaseQuotaAsync();
        await records.ReleaseServerAsync();
        await records.CloseAsync(RunStatus.Refused, Over);

        Assert.Equal(before, await records.HoldingsAsync());
        Assert.Null(await db.Actions.FindAsync(records.Server.Id, records.Input.RequestId, None));
        var run = (await db.Runs.FindVisibleAsync(records.Input.Image, records.Owner, None))!;
        Assert.Equal((RunStatus.Refused, Over), (run.Status, run.Reason!.Message));
    }

    [Fact]
    public async Task A_volume_that_begins_to_go_after_it_was_looked_at_leaves_no_row_and_no_reservation()
    {
        var records = await RecordKeeping.OnAsync(db);
        var before = await records.HoldingsAsync();
        var prepared = await records.PrepareAsync();
        await records.CheckQuotaAsync(prepared);
        await db.ScalarAsync($"UPDATE volumes SET status = 'deleting' WHERE id = '{records.Volumes[2].Id}'");
        var (kind, message) = await RecordKeeping.RefusedAsync(() => records.ReserveAsync(prepared));
        Assert.Equal(ErrorKind.InvalidRequest, kind);
        Assert.Contains("current status is: deleting", message, StringComparison.Ordinal);
        await records.UndoAsync(RunStatus.Refused);
        Assert.Equal(before, await records.HoldingsAsync());
    }

    [Fact]
    public async Task A_plan_answers_what_preparing_would_and_writes_nothing()
    {
        var records = await RecordKeeping.OnAsync(db);
        var before = await records.PictureAsync();
        var plan = await records.PlanAsync();
        Assert.Equal(before, await records.PictureAsync());
        var prepared = await records.PrepareAsync();
        Assert.Equal(plan.Server, prepared.Server);
        Assert.Equal(plan.Draft.Volumes, prepared.Draft.Volumes);
        Assert.Equal(plan.Draft.Mapping, prepared.Draft.Mapping);
    }

    [Fact]
    public async Task What_the_guest_needs_to_be_frozen_is_read_from_the_server()
    {
        var records = await RecordKeeping.OnAsync(db, s => s with
        {
            SystemMetadata = new Dictionary<string, string?> { ["image_os_require_quiesce"] = "Yes", ["image_hw_qemu_guest_agent"] = "no" },
        });
        var server = (await records.PrepareAsync()).Server;
        Assert.Equal((true, null, "host1"), (server.RequireQuiesce, server.AgentAddress, server.Host));
    }

    // A refusal is a refusal twice, for a plan as well, and whatever the workflow undoes afterwards finds nothing to do.
    private async Task RefusedAsync(RecordKeeping records, ErrorKind kind, string message)
    {
        var before = await records.HoldingsAsync();
        Assert.Equal((kind, message), await RecordKeeping.RefusedAsync(records.PlanAsync));
        Assert.Equal((kind, message), await RecordKeeping.RefusedAsync(records.PrepareAsync));
        Assert.Equal((kind, message), await RecordKeeping.RefusedAsync(records.PrepareAsync));
        Assert.Equal(before, await records.HoldingsAsync());
        Assert.Null(await db.Runs.FindVisibleAsync(records.Input.Image, Given.Admin(), None));
    }
}
