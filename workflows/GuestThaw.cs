using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>Thaws a guest where it is: on the host where it was frozen, or on the one that it has moved to since.</summary>
internal static class GuestThaw
{
    /// <summary>The longest that a thaw may take, everything included.</summary>
    public static readonly TimeSpan Altogether = TimeSpan.FromMinutes(2);

    // Enough for a compute worker that is started again; a guest that is elsewhere has no guard there.
    private static readonly TimeSpan BeforeLooking = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan ForLooking = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ForTheLeaseBehind = TimeSpan.FromSeconds(10);

    /// <summary>Asks until the agent confirms. Never cancelled.</summary>
    /// <param name="server">The server.</param>
    /// <param name="frozenAt">The server as it was when it was frozen.</param>
    /// <param name="runToken">The holder of the freeze.</param>
    public static async Task<UnquiesceResult> AskAsync(ServerId server, ServerView frozenAt, string runToken)
    {
        var there = new UnquiesceInput(server, frozenAt.AgentAddress!, runToken);
        try
        {
            return await UnquiesceAsync(frozenAt.Host!, there, BeforeLooking);
        }
        catch (ActivityFailureException e) when (!TemporalException.IsCanceledException(e))
        {
            var now = await LookAsync(server) ?? new(frozenAt.Host, frozenAt.AgentAddress);
            var (host, address) = (now.Host ?? frozenAt.Host!, now.AgentAddress ?? frozenAt.AgentAddress!);
            var thawed = await UnquiesceAsync(host, there with { AgentAddress = address }, Altogether - BeforeLooking - ForLooking - ForTheLeaseBehind);
            if (host != frozenAt.Host)
            {
                await EndLeaseBehindAsync(frozenAt.Host!, there with { MovedTo = host });
            }

            return thawed;
        }
    }

    private static Task<UnquiesceResult> UnquiesceAsync(string host, UnquiesceInput input, TimeSpan altogether) => Workflow.ExecuteActivityAsync(
        (IGuestActivities a) => a.UnquiesceAsync(input),
        new()
        {
            TaskQueue = Names.ComputeQueue(host),
            StartToCloseTimeout = TimeSpan.FromSeconds(10),
            HeartbeatTimeout = TimeSpan.FromSeconds(2),
            ScheduleToCloseTimeout = altogether,
            RetryPolicy = Retries.Quick,
            CancellationToken = CancellationToken.None,
            Summary = Summaries.Fit(input.MovedTo is null ? $"thaw {input.Server}" : $"{input.Server} has moved to {input.MovedTo}"),
        });

    private static async Task<ServerLocation?> LookAsync(ServerId server)
    {
        try
        {
            return await Workflow.ExecuteActivityAsync(
                (IRecordActivities a) => a.LocateServerAsync(server),
                new()
                {
                    TaskQueue = Names.ControlQueue,
                    StartToCloseTimeout = TimeSpan.FromSeconds(5),
                    ScheduleToCloseTimeout = ForLooking,
                    RetryPolicy = Retries.Quick,
                    CancellationToken = CancellationToken.None,
                    Summary = $"where is {server} now",
                });
        }
        catch (ActivityFailureException)
        {
            // Nobody knows of a move: it is asked on where it was.
            return null;
        }
    }

    private static async Task EndLeaseBehindAsync(string host, UnquiesceInput input)
    {
        try
        {
            await UnquiesceAsync(host, input, ForTheLeaseBehind);
        }
        catch (ActivityFailureException)
        {
            // Its guard goes on looking for a guest that is not there, which harms nobody and shows as overdue on that host.
        }
    }
}
