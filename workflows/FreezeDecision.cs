using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>Decides, while nothing has been touched, whether a guest will be frozen. Asks the guest at most once and changes nothing.</summary>
internal static class FreezeDecision
{
    /// <summary>Why a running guest will not be frozen, or null when it will. Fails with a refusal if it must be frozen and cannot.</summary>
    public static async Task<string?> DoubtAsync(CreateImageInput request, PreparedImage prepared)
    {
        var server = prepared.Server;
        if (request.Quiesce is QuiesceMode.Skip)
        {
            return server.RequireQuiesce
                ? throw new Refusal(ErrorKind.InvalidRequest, $"Instance {request.Server} has os_require_quiesce set: it cannot be imaged with quiesce=skip").Failure()
                : "the request asked for no freeze";
        }

        if (server.Host is null || server.AgentAddress is null)
        {
            // Nova's text and status for a server without the image property hw_qemu_guest_agent.
            return DoubtUnlessRequired(request, server, "QEMU guest agent is not enabled", new(ErrorKind.InvalidRequest, "QEMU guest agent is not enabled"));
        }

        return await AskAsync(request.Server, server) is { } doubt
            ? DoubtUnlessRequired(request, server, doubt, new(ErrorKind.QuiesceFailed, $"Failed to quiesce instance: {doubt}"))
            : null;
    }

    /// <summary>Whether the request or the server insists on the freeze.</summary>
    public static bool IsRequired(CreateImageInput request, ServerView server) => request.Quiesce is QuiesceMode.Require || server.RequireQuiesce;

    private static string DoubtUnlessRequired(CreateImageInput request, ServerView server, string doubt, Refusal refusal) =>
        IsRequired(request, server) ? throw refusal.Failure() : doubt;

    private static async Task<string?> AskAsync(ServerId id, ServerView server)
    {
        try
        {
            var answer = await Workflow.ExecuteActivityAsync(
                (IGuestActivities a) => a.ProbeGuestAsync(new(id, server.AgentAddress)),
                new()
                {
                    TaskQueue = Names.ComputeQueue(server.Host!),
                    StartToCloseTimeout = TimeSpan.FromSeconds(5),
                    // The caller waits; a compute host that answers nothing in this time will not freeze its guest in time either.
                    ScheduleToCloseTimeout = TimeSpan.FromSeconds(8),
                    RetryPolicy = Retries.Quick,
                    Summary = $"ask the guest agent of {id}",
                });
            return answer.CanFreeze ? null : answer.Reason;
        }
        catch (ActivityFailureException e) when (!TemporalException.IsCanceledException(e))
        {
            return $"compute host {server.Host}: {Failures.Describe(e).Message}";
        }
    }
}
