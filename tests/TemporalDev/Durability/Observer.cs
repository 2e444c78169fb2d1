using Google.Protobuf;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.History.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>Follows histories as they grow, page token by page token, also across the server's deaths.</summary>
internal sealed class Observer(WorkflowService service, Witness witness)
{
    /// <summary>Watches a workflow until its last run has closed. Answers the run ids in order.</summary>
    public async Task<IReadOnlyList<string>> FollowAsync(string workflowId, string firstRunId, CancellationToken cancellationToken)
    {
        var runs = new List<string>();
        for (var runId = firstRunId; runId.Length > 0;)
        {
            runs.Add(runId);
            runId = await FollowRunAsync(workflowId, runId, cancellationToken);
        }

        return runs;
    }

    /// <summary>The whole history of a closed run, read in small pages.</summary>
    public async Task<IReadOnlyList<HistoryEvent>> ReadAsync(string workflowId, string runId, int pageSize, CancellationToken cancellationToken)
    {
        var events = new List<HistoryEvent>();
        var token = ByteString.Empty;
        do
        {
            var page = await PageAsync(workflowId, runId, token, pageSize, false, cancellationToken);
            events.AddRange(page.History.Events);
            token = page.NextPageToken;
        }
        while (!token.IsEmpty);

        return events;
    }

    private async Task<string> FollowRunAsync(string workflowId, string runId, CancellationToken cancellationToken)
    {
        var token = ByteString.Empty;
        var next = 1L;
        while (true)
        {
            var page = await PageAsync(workflowId, runId, token, 0, true, cancellationToken);
            witness.See(runId, page.History.Events);
            foreach (var e in page.History.Events)
            {
                if (e.EventId != next++)
                {
                    witness.Accuse($"the follower of run {runId} got event {e.EventId} instead of {next - 1}");
                }
            }

            if (page.History.Events is [.., var last] && HistoryRules.Closes(last))
            {
                return last.WorkflowExecutionContinuedAsNewEventAttributes?.NewExecutionRunId ?? "";
            }

            token = page.NextPageToken;
            Assert.False(token.IsEmpty, $"the history of the open run {runId} ended after event {next - 1}");
        }
    }

    private async Task<GetWorkflowExecutionHistoryResponse> PageAsync(
        string workflowId, string runId, ByteString token, int pageSize, bool wait, CancellationToken cancellationToken)
    {
        var request = new GetWorkflowExecutionHistoryRequest
        {
            Namespace = "default",
            Execution = new Temporalio.Api.Common.V1.WorkflowExecution { WorkflowId = workflowId, RunId = runId },
            NextPageToken = token,
            MaximumPageSize = pageSize,
            WaitNewEvent = wait,
            HistoryEventFilterType = HistoryEventFilterType.AllEvent,
        };
        var (page, _) = await Insisting.On(() => service.GetWorkflowExecutionHistoryAsync(request, new RpcOptions { CancellationToken = cancellationToken }), cancellationToken);
        return page;
    }
}
