using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>Which part of a list, newest first.</summary>
/// <param name="Limit">Most rows, at least 0.</param>
/// <param name="Marker">Id of the last row of the page before; null for the first page. Store methods say what an unknown one does.</param>
/// <param name="Offset">Rows to leave out at its beginning; where the API that is served knows of it.</param>
public sealed record Page(int Limit, Guid? Marker = null, int Offset = 0)
{
    // When the marker's row was made; null on the first page.
    internal async Task<DateTime?> AfterAsync(Session session, string sql, object args, ErrorKind unknown, string noun) => Marker is null
        ? null
        : await session.ScalarAsync<DateTime?>(sql, args)
          ?? throw new SnapshotFlowException(unknown, $"There is no {noun} with the id {Marker} to continue the list after.");
}
