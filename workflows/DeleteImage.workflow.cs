using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>
/// Deletes one image, and the snapshots that were made for it unless they are to be kept.
/// <list type="bullet">
/// <item>A request that can be refused is refused before anything is changed, and the update <c>Accept</c> says so.</item>
/// <item>Once accepted nobody finds the image any more, and the deletion goes forward, whoever cancels it.</item>
/// <item>In the end the image is gone, and every snapshot is gone or listed as left behind in the operation's row: <c>available</c> again because something needs
/// it, or <c>error_deleting</c>.</item>
/// </list>
/// The workflow id is <see cref="Names.DeleteImageWorkflow"/>.
/// </summary>
[Workflow("DeleteImage")]
public sealed class DeleteImageWorkflow
{
    private DeleteImageAcceptance? acceptance;

    /// <summary>The process.</summary>
    [WorkflowRun]
    public async Task<RunEnd> RunAsync(DeleteImageInput request)
    {
        var begun = await Steps.BeginAsync(request.Resume, (resume, options) =>
        {
            var input = request with { Resume = resume };
            return Workflow.ExecuteActivityAsync((IImageActivities a) => a.BeginDeleteImageAsync(input), options);
        });
        if (begun.Plan is not { } snapshots)
        {
            acceptance = new(request.Operation, begun.Refusal);
            await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished, CancellationToken.None);
            return begun.Ended();
        }

        acceptance = new(request.Operation, null);
        var outcomes = await Workflow.WhenAllAsync(snapshots.Select(Steps.DeleteSnapshotAsync));
        await Workflow.ExecuteActivityAsync((IImageActivities a) => a.EndDeleteImageAsync(new(request, outcomes)), Steps.Ending());
        await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished, CancellationToken.None);
        return outcomes.Where(o => o.Failure is not null).ToList() is { Count: > 0 } left
            ? throw new Refusal(ErrorKind.CompensationFailed, $"left behind: {string.Join(", ", left.Select(o => $"{Names.Snapshot(o.Snapshot)} ({o.Failure!.Message})"))}").Failure()
            : new(RunStatus.Completed);
    }

    /// <summary>Returns once the request is accepted, or refused with nothing changed. The API waits for it before it answers.</summary>
    [WorkflowUpdate("Accept")]
    public async Task<DeleteImageAcceptance> AcceptAsync()
    {
        await Workflow.WaitConditionAsync(() => acceptance is not null, CancellationToken.None);
        return acceptance!;
    }
}
