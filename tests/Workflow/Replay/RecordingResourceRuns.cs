using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow.Replay;

/// <summary>Makes one run per branch of the processes about single snapshots, volumes and finished images, and of the looks at such runs that were terminated, and writes its history to the directory that <c>SNAPSHOTFLOW_RESOURCE_HISTORIES</c> names.</summary>
public sealed class RecordingResourceRuns(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    internal static readonly Dictionary<string, Func<ResourceFixture, FakeResources, Task<WorkflowHandle>>> Processes = new()
    {
        ["create-snapshot"] = async (fixture, resources) =>
        {
            var request = resources.Snapshot();
            return await fixture.StartAsync<CreateVolumeSnapshotWorkflow>(Model.Names.CreateSnapshotWorkflow(request.Snapshot), w => w.RunAsync(request));
        },
        ["delete-snapshot"] = async (fixture, resources) =>
        {
            var request = resources.DeleteSnapshot();
            return await fixture.StartAsync<DeleteSnapshotWorkflow>(Model.Names.DeleteSnapshotWorkflow(request.Snapshot), w => w.RunAsync(request));
        },
        ["delete-image"] = async (fixture, resources) =>
        {
            var request = resources.DeleteImage();
            return await fixture.StartAsync<DeleteImageWorkflow>(Model.Names.DeleteImageWorkflow(request.Image), w => w.RunAsync(request));
        },
        ["restore-image"] = async (fixture, resources) =>
        {
            var request = resources.Restore();
            return await fixture.StartAsync<RestoreImageWorkflow>(Model.Names.RestoreImageWorkflow(request.Operation), w => w.RunAsync(request));
        },
        ["create-volume"] = async (fixture, resources) =>
        {
            var request = resources.MakeVolume();
            return await fixture.StartAsync<CreateVolumeWorkflow>(Model.Names.CreateVolumeWorkflow(request.Volume), w => w.RunAsync(request));
        },
        ["delete-volume"] = async (fixture, resources) =>
        {
            var request = resources.DeleteVolume();
            return await fixture.StartAsync<DeleteVolumeWorkflow>(Model.Names.DeleteVolumeWorkflow(request.Volume), w => w.RunAsync(request));
        },
    };

    internal static readonly Dictionary<string, string[]> Steps = new()
    {
        ["create-snapshot"] = ["AdmitSnapshot", "CreateVolumeSnapshot", "CopyGlanceMetadata", "CompleteSnapshot"],
        ["delete-snapshot"] = ["BeginDeleteSnapshot", "DeleteVolumeSnapshot", "EndDeleteSnapshot"],
        ["delete-image"] = ["BeginDeleteImage", "DeleteVolumeSnapshot", "EndDeleteImage"],
        ["restore-image"] = ["PrepareRestore", "CreateVolumeFromSnapshot", "CompleteRestore"],
        ["create-volume"] = ["AdmitVolume", "CreateVolumeFromSnapshot", "CompleteVolume"],
        ["delete-volume"] = ["BeginDeleteVolume", "DeleteVolume", "EndDeleteVolume"],
    };

    /// <summary>Process, and the step at which something happens, and what: nothing, it fails for good, it refuses, it is busy, or the run is cancelled.</summary>
    public static IEnumerable<string> Branches => Steps.SelectMany(process => (string[])
    [
        $"{process.Key}_completed",
        $"{process.Key}_{process.Value[0]}_refuses",
        // The last step of a deletion is asked for until it is done.
        .. process.Value.Skip(1).Where(step => !step.StartsWith("End", StringComparison.Ordinal)).Select(step => $"{process.Key}_{step}_fails"),
        .. process.Value.Select(step => $"{process.Key}_{step}_cancelled"),
        .. process.Value.Where(step => step is "DeleteVolumeSnapshot" or "DeleteVolume").Select(step => $"{process.Key}_{step}_busy"),
        $"reconcile_{process.Key}_terminated",
    ]);

    public static TheoryData<string> Names => [.. Branches];

    [Theory(Explicit = true)]
    [MemberData(nameof(Names))]
    public async Task Record(string name)
    {
        var directory = Environment.GetEnvironmentVariable("SNAPSHOTFLOW_RESOURCE_HISTORIES")
            ?? throw new InvalidOperationException("set SNAPSHOTFLOW_RESOURCE_HISTORIES to tests/Workflow/Replay/ResourceHistories");
        var parts = name.Split('_');
        var resources = fixture.Use(new());
        if (parts[0] is "reconcile")
        {
            await RepairAsync(directory, name, resources, parts[1]);
            return;
        }

        var held = Fault.HoldsDeaf();
        switch (parts[^1])
        {
            case "refuses":
                resources.Script(parts[1], Fault.Fails(ErrorKind.NotFound));
                break;
            case "fails":
                resources.Script(parts[1], Fault.DoneButFails());
                break;
            case "busy":
                resources.Script(parts[1], [.. Enumerable.Repeat(Fault.Fails(ErrorKind.Busy), 20)]);
                break;
            case "cancelled":
                resources.Script(parts[1], held);
                break;
        }

        var run = await Processes[parts[0]](fixture, resources);
        if (parts[^1] is "cancelled")
        {
            await ResourceFixture.CancelAtAsync(run, held);
        }

        try
        {
            await run.GetResultAsync();
        }
        catch (WorkflowFailedException)
        {
            // Failing is what some branches are about.
        }

        await File.WriteAllTextAsync(Path.Combine(directory, $"{name}.json"), await RecordedHistory.OfAsync(run), TestContext.Current.CancellationToken);
    }

    /// <summary>The second look after a run was terminated in the middle.</summary>
    private async Task RepairAsync(string directory, string name, FakeResources resources, string process)
    {
        fixture.Looks.Reset();
        var held = Fault.DoneThenHolds();
        resources.Script(Steps[process][0], held);
        var run = await Processes[process](fixture, resources);
        await held.Reached;
        await run.TerminateAsync("by hand");
        fixture.Looks.Now = FakeResourceLooks.Old;
        await fixture.LookAsync();
        fixture.Looks.Now += FakeResourceLooks.Interval;
        var look = await fixture.StartLookAsync();
        await look.GetResultAsync();
        await File.WriteAllTextAsync(Path.Combine(directory, $"{name}.json"), await RecordedHistory.OfAsync(look), TestContext.Current.CancellationToken);
    }
}
