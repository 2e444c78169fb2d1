using SnapshotFlow.TemporalDev.Engine;

namespace SnapshotFlow.TemporalDev.Rpc;

internal sealed partial class WorkflowService
{
    private const int DefaultHistoryPage = 1_000;

    public async Task<GetWorkflowExecutionHistoryResponse> GetWorkflowExecutionHistory(GetWorkflowExecutionHistoryRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        var token = PageToken.Decode(request.NextPageToken);
        var execution = request.Execution?.Clone() ?? new WorkflowExecution();
        execution.RunId = token?.RunId ?? execution.RunId;
        var run = await engine.FindAsync(request.Namespace, execution);
        var first = token?.Next ?? 0;
        var closeOnly = request.HistoryEventFilterType == HistoryEventFilterType.CloseEvent;
        var end = engine.RealTime.GetUtcNow() + (request.WaitNewEvent ? LongPoll(context, LongestWait) : TimeSpan.Zero);
        while (true)
        {
            var (page, change) = await engine.ReadAsync(run, () =>
            {
                var ready = closeOnly ? Close(run, request.WaitNewEvent) : Page(run, first, request, token?.WithTransientTask == true);
                return (ready, ready is null ? run.NextChange() : Task.CompletedTask);
            });
            if (page is not null)
            {
                return page;
            }

            if (!await WaitAsync(change, end, context.CancellationToken))
            {
                // Nothing yet: the token makes the caller ask again, and pins the run that it could not name.
                return new GetWorkflowExecutionHistoryResponse { History = new History(), NextPageToken = new PageToken(run.RunId, first).Encode() };
            }
        }
    }

    public async Task<GetWorkflowExecutionHistoryReverseResponse> GetWorkflowExecutionHistoryReverse(
        GetWorkflowExecutionHistoryReverseRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        var token = PageToken.Decode(request.NextPageToken);
        var execution = request.Execution?.Clone() ?? new WorkflowExecution();
        execution.RunId = token?.RunId ?? execution.RunId;
        var run = await engine.FindAsync(request.Namespace, execution);
        return await engine.ReadAsync(run, () =>
        {
            var response = new GetWorkflowExecutionHistoryReverseResponse { History = new History() };
            var last = Math.Min(token?.Next ?? run.History.Count, run.History.Count);
            var first = Math.Max(0, last - PageSize(request.MaximumPageSize));
            for (var i = last - 1; i >= first; i--)
            {
                response.History.Events.Add(run.History[i]);
            }

            response.NextPageToken = first > 0 ? new PageToken(run.RunId, first).Encode() : ByteString.Empty;
            return response;
        });
    }

    private static int PageSize(int asked) => asked is > 0 and < DefaultHistoryPage ? asked : DefaultHistoryPage;

    /// <summary>The last event; while the run is open only for a caller that does not want to wait for the close.</summary>
    private static GetWorkflowExecutionHistoryResponse? Close(Run run, bool wait)
    {
        if (run.IsOpen && wait)
        {
            return null;
        }

        var response = new GetWorkflowExecutionHistoryResponse { History = new History() };
        response.History.Events.Add(run.History[^1]);
        return response;
    }

    private static GetWorkflowExecutionHistoryResponse? Page(Run run, int first, GetWorkflowExecutionHistoryRequest request, bool withTransientTask)
    {
        if (first >= run.History.Count && request.WaitNewEvent && run.IsOpen)
        {
            return null;
        }

        var response = new GetWorkflowExecutionHistoryResponse { History = new History() };
        response.NextPageToken = new HistoryPage(first, PageSize(request.MaximumPageSize)).Fill(run, response.History, withTransientTask);
        if (request.WaitNewEvent && run.IsOpen && response.NextPageToken.IsEmpty)
        {
            response.NextPageToken = new PageToken(run.RunId, run.History.Count).Encode();
        }

        return response;
    }
}
