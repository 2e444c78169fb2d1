using System.Net.Sockets;

namespace SnapshotFlow.Drivers;

/// <summary>Connecting to a program of QEMU's, which serves one client at a time and keeps very few waiting.</summary>
internal static class UnixSocket
{
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(5);

    /// <summary>Connects, waiting for a place among those who wait. Ends with the token.</summary>
    public static async Task<Socket> ConnectAsync(string path, CancellationToken ct)
    {
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), ct).ConfigureAwait(false);
                return socket;
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.TryAgain)
            {
                // Linux's answer for a unix socket whose queue is full; there is nothing to wait for but the next try.
                socket.Dispose();
                await Task.Delay(AskAgain, ct).ConfigureAwait(false);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }
}
