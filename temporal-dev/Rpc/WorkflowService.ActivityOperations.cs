using SnapshotFlow.TemporalDev.Engine;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>What an operator does to the activities of a run by hand.</summary>
internal sealed partial class WorkflowService
{
    public async Task<PauseActivityResponse> PauseActivity(PauseActivityRequest request, ServerCallContext context)
    {
        await OnActivitiesAsync(request.Namespace, request.Execution, request.Id, request.Type, false, (work, run, activity) =>
            run.Pause(work, activity, request.Identity, request.Reason));
        return new PauseActivityResponse();
    }

    public async Task<UnpauseActivityResponse> UnpauseActivity(UnpauseActivityRequest request, ServerCallContext context)
    {
        await OnActivitiesAsync(request.Namespace, request.Execution, request.Id, request.Type, request.UnpauseAll, (work, run, activity) =>
            run.Unpause(work, activity, request.ResetAttempts, request.ResetHeartbeat));
        return new UnpauseActivityResponse();
    }

    public async Task<ResetActivityResponse> ResetActivity(ResetActivityRequest request, ServerCallContext context)
    {
        await OnActivitiesAsync(request.Namespace, request.Execution, request.Id, request.Type, request.MatchAll, (work, run, activity) =>
            run.ResetActivity(work, activity, request.ResetHeartbeat, request.KeepPaused, request.RestoreOriginalOptions));
        return new ResetActivityResponse();
    }

    public async Task<UpdateActivityOptionsResponse> UpdateActivityOptions(UpdateActivityOptionsRequest request, ServerCallContext context)
    {
        var response = new UpdateActivityOptionsResponse();
        await OnActivitiesAsync(request.Namespace, request.Execution, request.Id, request.Type, request.MatchAll, (work, run, activity) =>
            response.ActivityOptions = run.ChangeOptions(work, activity, request.ActivityOptions, request.UpdateMask, request.RestoreOriginal));
        return response;
    }

    private async Task OnActivitiesAsync(
        string @namespace, WorkflowExecution? execution, string id, string type, bool all, Action<UnitOfWork, Run, PendingActivity> transition)
    {
        RequireNamespace(@namespace);
        if (id.Length == 0 && type.Length == 0 && !all)
        {
            throw Fault.Invalid("Either activity id or activity type must be set on request.");
        }

        await OnRunAsync(@namespace, execution, (work, run) =>
        {
            foreach (var activity in run.Select(id, type, all))
            {
                transition(work, run, activity);
            }
        });
    }
}
