using SnapshotFlow.TemporalDev.Schedules;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>Schedules.</summary>
internal sealed partial class WorkflowService
{
    public async Task<CreateScheduleResponse> CreateSchedule(CreateScheduleRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        RequireSize(request.Memo, "Memo");
        RequireSize(request.Schedule?.Action?.StartWorkflow?.Input, "Workflow input");
        return new CreateScheduleResponse { ConflictToken = ConflictToken.Write(await scheduler.CreateAsync(request, context.CancellationToken)) };
    }

    public Task<DescribeScheduleResponse> DescribeSchedule(DescribeScheduleRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        return scheduler.DescribeAsync(request.Namespace, request.ScheduleId, context.CancellationToken);
    }

    public async Task<UpdateScheduleResponse> UpdateSchedule(UpdateScheduleRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        RequireSize(request.Memo, "Memo");
        RequireSize(request.Schedule?.Action?.StartWorkflow?.Input, "Workflow input");
        await scheduler.UpdateAsync(request, context.CancellationToken);
        return new UpdateScheduleResponse();
    }

    public async Task<PatchScheduleResponse> PatchSchedule(PatchScheduleRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        await scheduler.PatchAsync(request, context.CancellationToken);
        return new PatchScheduleResponse();
    }

    public async Task<DeleteScheduleResponse> DeleteSchedule(DeleteScheduleRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        await scheduler.DeleteAsync(request.Namespace, request.ScheduleId, context.CancellationToken);
        return new DeleteScheduleResponse();
    }

    public Task<ListSchedulesResponse> ListSchedules(ListSchedulesRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        var page = Understand(() => scheduler.List(request));
        var response = new ListSchedulesResponse { NextPageToken = page.NextPageToken };
        response.Schedules.Add(page.Entries.Select(listing => listing.EntryAt(engine.Clock.GetUtcNow())));
        return Task.FromResult(response);
    }

    public Task<CountSchedulesResponse> CountSchedules(CountSchedulesRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        return Task.FromResult(new CountSchedulesResponse { Count = Understand(() => scheduler.Count(request)) });
    }

    public async Task<ListScheduleMatchingTimesResponse> ListScheduleMatchingTimes(ListScheduleMatchingTimesRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        var times = await scheduler.MatchingTimesAsync(request, context.CancellationToken);
        var response = new ListScheduleMatchingTimesResponse();
        response.StartTime.Add(times.Select(Timestamp.FromDateTimeOffset));
        return response;
    }
}
