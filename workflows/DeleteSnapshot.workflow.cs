using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>
/// Deletes one volume snapshot.
/// <list type="bullet">
/// <item>A request that can be refused is refused before anything is changed, and the update <c>Accept</c> says so.</item>
/// <item>Once accepted it goes forward, whoever cancels it: in the end the snapshot is gone, or <c>available</c> again because something needs it, or
/// <c>error_deleting</c>; the user is told of both.</item>
/// </list>
/// The workflow id is <see cref="Names.DeleteSnapshotWorkflow"/>.
/// </summary>
[Workflow("DeleteSnapshot")]
public sealed class DeleteSnapshotWorkflow
{
    private DeleteAcceptance? acceptance;

    /// <summary>The process.</summary>
    [WorkflowRun]
    public async Task<RunEnd> RunAsync(DeleteSnapshotInput request)
    {
        var begun = await Steps.BeginAsync(request.Resume, (resume, options) =>
        {
            var input = request with { Resume = resume };
            return Workflow.ExecuteActivityAsync((ISnapshotActivities a) => a.BeginDeleteSnapshotAsync(input), options);
        });
        if (begun.Plan is not { } snapshot)
        {
            acceptance = new(begun.Refusal);
            await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished, CancellationToken.None);
            return begun.Ended();
        }

        acceptance = new(null);
        var outcome = await Steps.DeleteSnapshotAsync(snapshot);
        await Workflow.ExecuteActivityAsync((ISnapshotActivities a) => a.EndDeleteSnapshotAsync(new(request, outcome)), Steps.Ending());
        await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished, CancellationToken.None);
        return outcome.Failure is { } failure ? throw failure.Failure() : new(RunStatus.Completed);
    }

    /// <summary>Returns once the request is accepted, or refused with nothing changed. The API waits for it before it answers.</summary>
    [WorkflowUpdate("Accept")]
    public async Task<DeleteAcceptance> AcceptAsync()
    {
        await Workflow.WaitConditionAsync(() => acceptance is not null, CancellationToken.None);
        return acceptance!;
    }
}
