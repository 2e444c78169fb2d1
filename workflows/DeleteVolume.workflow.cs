using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>
/// Deletes one volume. A request that can be refused is refused before anything is changed, and the update <c>Accept</c> says so. Once accepted it goes forward,
/// whoever cancels it: in the end the volume is gone, or <c>error_deleting</c> and the user is told. The workflow id is <see cref="Names.DeleteVolumeWorkflow"/>.
/// </summary>
[Workflow("DeleteVolume")]
public sealed class DeleteVolumeWorkflow
{
    private DeleteAcceptance? acceptance;

    /// <summary>The process.</summary>
    [WorkflowRun]
    public async Task<RunEnd> RunAsync(DeleteVolumeInput request)
    {
        var begun = await Steps.BeginAsync(request.Resume, (resume, options) =>
        {
            var input = request with { Resume = resume };
            return Workflow.ExecuteActivityAsync((IVolumeRecordActivities a) => a.BeginDeleteVolumeAsync(input), options);
        });
        if (begun.Plan is not { } volume)
        {
            acceptance = new(begun.Refusal);
            await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished, CancellationToken.None);
            return begun.Ended();
        }

        acceptance = new(null);
        // A volume that is nowhere is deleted by its record.
        var failure = volume.Backend is { } backend ? await Steps.DeleteVolumeAsync(volume.Volume, backend) : null;
        await Workflow.ExecuteActivityAsync((IVolumeRecordActivities a) => a.EndDeleteVolumeAsync(new(request, failure)), Steps.Ending());
        await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished, CancellationToken.None);
        return failure is null ? new(RunStatus.Completed) : throw failure.Failure();
    }

    /// <summary>Returns once the request is accepted, or refused with nothing changed. The API waits for it before it answers.</summary>
    [WorkflowUpdate("Accept")]
    public async Task<DeleteAcceptance> AcceptAsync()
    {
        await Workflow.WaitConditionAsync(() => acceptance is not null, CancellationToken.None);
        return acceptance!;
    }
}
